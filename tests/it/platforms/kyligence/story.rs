//! The example: 3.2 to 3.4, from test to production, with a failure in the middle.

#[test]
fn k02_k11_k12_the_example_goes_from_test_to_production_and_finds_the_way_out() {
    crate::examples::rehearse("kyligence-test-to-production/check", "SCRATCH");
}
