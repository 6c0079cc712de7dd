//! What happens in one simulated world: products, an estate, rounds of changes, and faults. Pure data, so that it can be shrunk.

use proptest::prelude::{Just, Strategy, any};
use proptest::{collection, prop_oneof, sample};

use super::twist::{ByHand, Moves, Person};

/// One world and its story.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub products: Vec<Product>,
    pub instances: Vec<Deployed>,
    pub rounds: Vec<Round>,
    /// Whether state is where other machines reach it.
    pub is_shared: bool,
}

/// A product: the steps that every move of it takes. A last step that changes the version is added.
#[derive(Debug, Clone)]
pub(super) struct Product {
    pub steps: Vec<StepShape>,
    /// Whether the last step can be asked whether it is done.
    pub checked: bool,
    /// Whether what lies between is done in maintenance mode, a bracket.
    pub maintenance: bool,
    /// Whether a probe watches the steps between, and whether it passes in maintenance mode.
    pub probe: Option<bool>,
    /// Whether upgrades go from version to version, in several hops.
    pub stepwise: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct StepShape {
    pub work: Work,
    pub undo: UndoShape,
    pub checked: bool,
    pub repeatable: bool,
    pub tolerant: bool,
    pub downtime: bool,
    /// Its command outlives Windlass.
    pub supervised: bool,
    pub attempts: u32,
    /// Waits for nothing, and not for the step before.
    pub early: bool,
    /// Seconds that it takes.
    pub takes: u32,
    pub by_hand: ByHand,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// One call.
    Once,
    /// A call for each of so many items, some of them at once.
    FanOut { items: u8, at_once: u8 },
    /// Looks so often until something is so.
    Poll { looks: u8 },
}

/// The way back from a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UndoShape {
    Call,
    Harmless,
    Never,
}

/// One instance.
#[derive(Debug, Clone)]
pub(super) struct Deployed {
    pub product: sample::Index,
    pub production: bool,
    /// 0: this machine; else a host of that number.
    pub host: u8,
    pub depends_on: Vec<sample::Index>,
}

/// One change of what is wanted, applied under faults.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// By instance: 0 gone, else the version. Shorter or longer than the estate: repeated, or cut.
    pub wanted: Vec<u8>,
    pub halt: bool,
    pub concurrency: u32,
    /// Actions at once on one host.
    pub host_limit: u32,
    /// The providers are of this revision: another text, and another digest.
    pub revision: u8,
    pub rollout: Turns,
    /// Whether environments have a window, ten minutes of each half hour.
    pub windows: bool,
    pub faults: Vec<Fault>,
    pub choices: Vec<Choice>,
    /// Seconds that making the journal durable takes are thousandths of this.
    pub disk: u8,
    pub afterwards: Afterwards,
    pub person: Person,
    pub moves: Moves,
}

/// What a person does with a run that has succeeded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Afterwards {
    /// Leaves it.
    Keeps,
    /// Takes it back.
    GoesBack,
    /// Takes it back, one of the instances to a version that it stood at in between, where there is one.
    GoesBackTo(sample::Index),
}

/// How instances take turns; 0: no such rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    pub canary: u32,
    pub batch: u32,
    pub max_unavailable: u32,
    /// Seconds.
    pub soak: u8,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// To the so-manieth call of a driver that acts.
    Call { number: u8, act: Act },
    /// To the so-manieth look whether something is done.
    Look { number: u8, act: LookAct },
    /// To the so-manieth commit of the journal.
    Commit { number: u8, act: DiskAct },
    /// To the so-manieth write to the store.
    Write { number: u8, act: StoreAct },
    /// Windlass is killed after so many half seconds; what it was doing without a supervisor is done where `done`.
    Kill { after: u8, done: bool },
    /// The store cannot be reached at all, after so many seconds and for so many.
    Cut { after: u8, seconds: u8 },
    /// A host of that number (this machine never) cannot be reached, after so many seconds and for so many.
    Drop { host: u8, after: u8, seconds: u8 },
    /// Another takes the lease after so many seconds, and gives it back.
    Steal { after: u8 },
    /// The clock jumps by so many minutes after so many seconds.
    Jump { after: u8, minutes: i8 },
    /// A person asks to stop after so many seconds; `hard`: at once.
    Stop { after: u8, hard: bool },
    /// A person confirms what waits, after so many seconds.
    Confirm { after: u8 },
    /// Windlass is paused, after so many half seconds and for so many seconds, and another takes the run over.
    Pause { after: u8, seconds: u8 },
}

/// What a call does instead of working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Fails,
    /// The effect happens, and then it fails.
    FailsAfter,
    Unreachable,
    /// It fails before it has done anything, and knows it.
    Untouched,
    Hangs,
    Panics,
    /// Windlass is killed just before the effect.
    KillsBefore,
    /// Windlass is killed just after it.
    KillsAfter,
}

/// What a look does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookAct {
    Fails,
    Unreachable,
    Hangs,
    /// Windlass is killed.
    Kills,
}

/// What a disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskAct {
    /// It is full, for this one write.
    Full,
    /// Power fails while this is written: so many percent arrive.
    Torn(u8),
    /// Windlass is killed before it hears that this is durable.
    Killed,
}

/// What a store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreAct {
    /// It is away for so many writes.
    Away(u8),
    /// It does it, and the answer is lost.
    AnswerLost,
    /// Windlass is killed just after it.
    Killed,
}

/// What a person does with a run that is held or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Looks at what is held, says what is true, and resumes.
    Resume,
    /// Resumes without a word.
    JustResume,
    RollBack,
    /// Ends it by word.
    Abandon,
}

fn steps() -> impl Strategy<Value = StepShape> {
    let undo = prop_oneof![8 => Just(UndoShape::Call), 3 => Just(UndoShape::Harmless), 2 => Just(UndoShape::Never)];
    let work = prop_oneof![
        6 => Just(Work::Once),
        2 => (1..4_u8, 1..3_u8).prop_map(|(items, at_once)| Work::FanOut { items, at_once }),
        1 => (1..6_u8).prop_map(|looks| Work::Poll { looks }),
    ];
    (work, undo, any::<[bool; 6]>(), 1..3_u32, 0..20_u32).prop_map(|(work, undo, flags, attempts, takes)| {
        let [checked, repeatable, tolerant, downtime, supervised, early] = flags;
        StepShape { work, undo, checked, repeatable, tolerant, downtime, supervised, attempts, early, takes, by_hand: ByHand::No }
    })
}

fn products() -> impl Strategy<Value = Product> {
    let probe = prop_oneof![6 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
    let flags = (any::<bool>(), any::<bool>(), prop_oneof![2 => Just(false), 1 => Just(true)]);
    (collection::vec(steps(), 0..4), flags, probe).prop_map(|(steps, (checked, maintenance, stepwise), probe)| Product {
        steps,
        checked,
        maintenance,
        probe,
        stepwise,
    })
}

fn deployed() -> impl Strategy<Value = Deployed> {
    (any::<sample::Index>(), any::<bool>(), 0..3_u8, collection::vec(any::<sample::Index>(), 0..2))
        .prop_map(|(product, production, host, depends_on)| Deployed { product, production, host, depends_on })
}

fn faults() -> impl Strategy<Value = Fault> {
    let act = sample::select(vec![
        Act::Fails,
        Act::FailsAfter,
        Act::Unreachable,
        Act::Untouched,
        Act::Hangs,
        Act::Panics,
        Act::KillsBefore,
        Act::KillsAfter,
    ]);
    let look = sample::select(vec![LookAct::Fails, LookAct::Unreachable, LookAct::Hangs, LookAct::Kills]);
    let disk = prop_oneof![Just(DiskAct::Full), (0..101_u8).prop_map(DiskAct::Torn), Just(DiskAct::Killed)];
    let store = prop_oneof![(1..30_u8).prop_map(StoreAct::Away), Just(StoreAct::AnswerLost), Just(StoreAct::Killed)];
    prop_oneof![
        6 => (0..16_u8, act).prop_map(|(number, act)| Fault::Call { number, act }),
        1 => (0..4_u8, look).prop_map(|(number, act)| Fault::Look { number, act }),
        3 => (0..30_u8, disk).prop_map(|(number, act)| Fault::Commit { number, act }),
        2 => (0..8_u8, store).prop_map(|(number, act)| Fault::Write { number, act }),
        4 => (0..120_u8, any::<bool>()).prop_map(|(after, done)| Fault::Kill { after, done }),
        1 => (0..60_u8, any::<u8>()).prop_map(|(after, seconds)| Fault::Cut { after, seconds }),
        1 => (1..3_u8, 0..60_u8, any::<u8>()).prop_map(|(host, after, seconds)| Fault::Drop { host, after, seconds }),
        1 => (0..60_u8).prop_map(|after| Fault::Steal { after }),
        1 => (0..60_u8, -100..100_i8).prop_map(|(after, minutes)| Fault::Jump { after, minutes }),
        1 => (0..60_u8, any::<bool>()).prop_map(|(after, hard)| Fault::Stop { after, hard }),
    ]
}

fn rounds() -> impl Strategy<Value = Round> {
    let choice = prop_oneof![
        8 => Just(Choice::Resume),
        2 => Just(Choice::JustResume),
        2 => Just(Choice::RollBack),
        1 => Just(Choice::Abandon),
    ];
    let afterwards = prop_oneof![
        4 => Just(Afterwards::Keeps),
        1 => Just(Afterwards::GoesBack),
        1 => any::<sample::Index>().prop_map(Afterwards::GoesBackTo),
    ];
    let rule = || prop_oneof![2 => Just(0_u32), 1 => 1..3_u32];
    let turns = (rule(), rule(), rule(), prop_oneof![Just(0_u8), 1..60_u8])
        .prop_map(|(canary, batch, max_unavailable, soak)| Turns { canary, batch, max_unavailable, soak });
    (
        collection::vec(prop_oneof![1 => Just(0_u8), 9 => 1..4_u8], 1..7),
        (any::<bool>(), 1..6_u32, 1..4_u32, 0..3_u8, turns, prop_oneof![3 => Just(false), 1 => Just(true)]),
        collection::vec(faults(), 0..5),
        collection::vec(choice, 0..4),
        (0..60_u8, afterwards),
    )
        .prop_map(|(wanted, rules, faults, choices, (disk, afterwards))| {
            let (halt, concurrency, host_limit, revision, rollout, windows) = rules;
            let (person, moves) = (Person::default(), Moves::default());
            Round {
                wanted,
                halt,
                concurrency,
                host_limit,
                revision,
                rollout,
                windows,
                faults,
                choices,
                disk,
                afterwards,
                person,
                moves,
            }
        })
}

/// Any world.
pub(super) fn scenarios() -> impl Strategy<Value = Scenario> {
    (collection::vec(products(), 1..3), collection::vec(deployed(), 1..6), collection::vec(rounds(), 1..4))
        .prop_map(|(products, instances, rounds)| Scenario { products, instances, rounds, is_shared: false })
}
