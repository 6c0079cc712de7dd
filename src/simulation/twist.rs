//! What a world may have besides: steps that a person does by hand, a person who ends runs by word, other machines.
//!
//! Drawn from a stream of its own and laid over a scenario, so that a seed to which nothing is added gives the world that it gave before
//! there was any of this.

use proptest::prelude::{Just, Strategy, any};
use proptest::{collection, prop_oneof, sample};

use super::scenario::{Scenario, Work};

/// All that is added to one scenario.
#[derive(Debug, Clone, Default)]
pub(super) struct Twists {
    /// Steps of products that a person does; `true`: and undoes.
    pub by_hand: Vec<(sample::Index, sample::Index, bool)>,
    /// What the person is like, by round. Shorter than the rounds: repeated; none: as ever.
    pub people: Vec<Person>,
    /// Where runs are taken up, by round, where other machines reach the state; none: they do not.
    pub moves: Vec<Moves>,
}

/// Where a run is taken up.
#[derive(Debug, Clone, Default)]
pub(super) struct Moves {
    /// The number of the machine, each time; after that it stays where it is.
    pub machines: Vec<u8>,
    /// Who has the run is paused after so many half seconds, and for so many seconds.
    pub pause: Option<(u8, u8)>,
}

/// Whether a person does a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ByHand {
    #[default]
    No,
    Step,
    StepAndUndo,
}

/// The person who looks after a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    /// What becomes of what waits, one time after the other; after that it is confirmed.
    pub answers: Vec<Answer>,
    /// Confirms what waits so many seconds after the run began, while it goes on.
    pub early: Option<u8>,
    /// Confirms what waits before a run that was killed is taken up.
    pub quick: bool,
    /// Ends the run by word when it has come to rest that often.
    pub gives_up: Option<u8>,
    /// Whoever ends a run by word has done the rest by hand before, and says so.
    pub finishes: bool,
    /// After a run that was ended by word, plans again and applies that.
    pub goes_on: bool,
}

/// What a person does about an action that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Does it, and confirms it.
    Confirms,
    /// The same, and Windlass dies in the commit of the journal that comes so many after that; `torn`: so that it is lost.
    ConfirmsAndItDies { commits: u8, torn: bool },
    /// Nothing, and goes on with the run.
    Nothing,
    /// Does it, and says so to nobody.
    IsSilent,
    /// Does it, and says that it is done.
    Skips,
    /// Wants to be asked once more.
    AsksAgain,
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Confirms),
        3 => (0..4_u8, any::<bool>()).prop_map(|(commits, torn)| Answer::ConfirmsAndItDies { commits, torn }),
        1 => Just(Answer::Nothing),
        1 => Just(Answer::IsSilent),
        1 => Just(Answer::Skips),
        1 => Just(Answer::AsksAgain),
    ]
}

fn people() -> impl Strategy<Value = Person> {
    let early = prop_oneof![2 => Just(None), 1 => (0..60_u8).prop_map(Some)];
    let gives_up = prop_oneof![2 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    (collection::vec(answers(), 0..4), early, gives_up, any::<[bool; 3]>()).prop_map(|(answers, early, gives_up, flags)| {
        let [quick, finishes, goes_on] = flags;
        Person { answers, early, quick, gives_up, finishes, goes_on }
    })
}

/// Anything that may be added, and often nothing.
pub(super) fn twists() -> impl Strategy<Value = Twists> {
    let step = (any::<sample::Index>(), any::<sample::Index>(), any::<bool>());
    let by_hand = prop_oneof![1 => Just(Vec::new()), 1 => collection::vec(step, 1..4)];
    let people = prop_oneof![1 => Just(Vec::new()), 1 => collection::vec(people(), 1..4)];
    let pause = prop_oneof![1 => Just(None), 1 => (0..80_u8, 20..250_u8).prop_map(Some)];
    let moves = (collection::vec(0..2_u8, 0..6), pause).prop_map(|(machines, pause)| Moves { machines, pause });
    let moves = prop_oneof![2 => Just(Vec::new()), 1 => collection::vec(moves, 1..4)];
    (by_hand, people, moves).prop_map(|(by_hand, people, moves)| Twists { by_hand, people, moves })
}

/// A scenario with what is added to it.
pub(super) fn twisted((mut scenario, twists): (Scenario, Twists)) -> Scenario {
    let Twists { by_hand, people, moves } = twists;
    let count = scenario.products.len();
    for (product, step, undo) in by_hand {
        let steps = &mut scenario.products[product.index(count)].steps;
        let number = step.index(steps.len().max(1));
        if let Some(shape) = steps.get_mut(number).filter(|shape| shape.work == Work::Once) {
            shape.by_hand = if undo { ByHand::StepAndUndo } else { ByHand::Step };
        }
    }
    for (round, person) in scenario.rounds.iter_mut().zip(people.iter().cycle()) {
        round.person = person.clone();
    }
    scenario.is_shared = !moves.is_empty();
    for (round, moves) in scenario.rounds.iter_mut().zip(moves.iter().cycle()) {
        round.moves = moves.clone();
    }
    scenario
}
