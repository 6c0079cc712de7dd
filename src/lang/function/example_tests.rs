//! Every function's example is true.

use jiff::Timestamp;

use super::FUNCTIONS;
use crate::lang::{Env, Expr, Vars};

#[test]
fn every_example_gives_what_it_says() {
    let files = crate::lang::NoFiles;
    let env = Env { files: &files, now: Timestamp::UNIX_EPOCH, budget: Env::BUDGET };
    for function in FUNCTIONS {
        let value = |text: &str| {
            let expr = Expr::parse(text).unwrap_or_else(|problems| panic!("{}: {text}: {problems:?}", function.name));
            expr.eval(&Vars::default(), &env).unwrap_or_else(|problems| panic!("{}: {text}: {problems:?}", function.name))
        };
        let (example, gives) = function.example;
        assert_eq!(value(example), value(gives), "{}: {example}", function.name);
    }
}
