//! The diagrams of docs/state-machine.md are the machine's own.

use std::collections::BTreeSet;

use tilld::payment::{
    Answer, Answered, CancelAction, CancelAnswer, CodeMark, Event, Hint, Moment, Money, Order,
    PayAnswer, Payment, PrecreateAnswer, Public, QueryAnswer, Reason, Rules, State, Tag, Timestamp,
    Trade, Trouble, TroubleKind, Wire,
};

use super::{page, section};

/// From one state to another; or from a state to where its money may be.
pub(crate) type Edges = BTreeSet<(String, String)>;

/// A generator of numbers (xorshift), the same on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("small")
    }

    pub(crate) fn one_of<T>(&mut self, mut these: Vec<T>) -> T {
        let index = self.below(these.len());
        these.swap_remove(index)
    }
}

pub(crate) fn trouble(kind: TroubleKind) -> Trouble {
    Trouble { kind, text: "in a test".to_owned() }
}

pub(crate) fn reason() -> Reason {
    Reason { code: "40004".to_owned(), sub_code: None, message: "no".to_owned() }
}

pub(crate) fn code() -> Event {
    Event::Code(CodeMark([7; 16]), Tag(1))
}

/// Every kind of answer to the call that is in flight.
pub(crate) fn answers(state: State) -> Vec<Answer> {
    use TroubleKind::{Busy, Foreign, Refused, SellerBalance, Unreachable};
    let trade = Trade::default;
    // Paid after every pay of this walk had left, or long before.
    let paid = || Trade { paid_at: Some(Timestamp(i64::MAX)), ..trade() };
    let earlier = || Trade { paid_at: Some(Timestamp(0)), ..trade() };
    let ours = || Trade { tag: Some(Tag(1).to_string()), ..paid() };
    match state {
        State::Precreating => vec![
            PrecreateAnswer::Made { qr_code: "https://qr.alipay.com/x".to_owned() },
            PrecreateAnswer::Declined(reason()),
            PrecreateAnswer::Refused(reason()),
            PrecreateAnswer::NotSent(trouble(Unreachable)),
            PrecreateAnswer::Repeated(trouble(Foreign)),
            PrecreateAnswer::Unknown(trouble(Busy)),
        ]
        .into_iter()
        .map(Answer::Precreate)
        .collect(),
        State::Paying => vec![
            PayAnswer::Paid(paid()),
            PayAnswer::Paid(earlier()),
            PayAnswer::Waiting(trade()),
            PayAnswer::Declined(reason()),
            PayAnswer::Refused(reason()),
            PayAnswer::NotSent(trouble(Unreachable)),
            PayAnswer::Foreign(trouble(Foreign)),
            PayAnswer::Repeated(trouble(Foreign)),
            PayAnswer::Unknown(trouble(Busy)),
        ]
        .into_iter()
        .map(Answer::Pay)
        .collect(),
        State::Querying => vec![
            QueryAnswer::Paid(paid()),
            QueryAnswer::Paid(trade()),
            QueryAnswer::Paid(earlier()),
            QueryAnswer::Paid(ours()),
            QueryAnswer::Waiting(trade()),
            QueryAnswer::Closed { trade: trade(), was_paid: false },
            QueryAnswer::Closed { trade: paid(), was_paid: true },
            QueryAnswer::Closed { trade: earlier(), was_paid: true },
            QueryAnswer::NotExist,
            QueryAnswer::Foreign(trouble(Foreign)),
            QueryAnswer::Unknown(trouble(Busy)),
            QueryAnswer::Unknown(trouble(Unreachable)),
            QueryAnswer::Unknown(trouble(Refused)),
        ]
        .into_iter()
        .map(Answer::Query)
        .collect(),
        State::Cancelling => vec![
            CancelAnswer::Closed(trade()),
            CancelAnswer::Refunded(trade()),
            CancelAnswer::NoAction,
            CancelAnswer::Refused(reason()),
            CancelAnswer::Unknown(trouble(Busy)),
            CancelAnswer::Unknown(trouble(SellerBalance)),
        ]
        .into_iter()
        .map(Answer::Cancel)
        .collect(),
        State::AwaitingCode { .. }
        | State::Unsent { .. }
        | State::Resting { .. }
        | State::Owing
        | State::Paid
        | State::Declined
        | State::Cancelled(_) => vec![],
    }
}

pub(crate) fn order() -> Order {
    Order::new(
        "T1".parse().expect("a number"),
        "88.88".parse().expect("an amount"),
        "coffee".to_owned(),
    )
}

/// The name of an inner state in the page.
fn inner(state: State) -> &'static str {
    match state {
        State::AwaitingCode { .. } => "awaiting_code",
        State::Paying => "paying",
        State::Precreating => "precreating",
        State::Unsent { .. } => "unsent",
        State::Resting { .. } => "resting",
        State::Querying => "querying",
        State::Cancelling => "cancelling",
        State::Owing => "owing",
        State::Paid => "paid",
        State::Declined => "declined",
        State::Cancelled(CancelAction::Close) => "cancelled_close",
        State::Cancelled(CancelAction::Refund) => "cancelled_refund",
        State::Cancelled(CancelAction::None) => "cancelled_none",
    }
}

/// Which steps the machine took.
#[derive(Default)]
struct Walked {
    /// As registers see them.
    public: Edges,
    /// With the states inside.
    inside: Edges,
    /// Where the money is, state by state.
    money: Edges,
}

/// Lets the machine run many times, with whatever may happen next.
fn walk() -> Walked {
    let rules = Rules::default();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let Walked { mut public, mut inside, mut money } = Walked::default();
    for _ in 0..60_000 {
        let mut now = Timestamp(1_795_140_000_000);
        let moment = |at| Moment::undisputed(at, at, at);
        let mut payment = Payment::requested(order(), moment(now), &rules);
        inside.insert(("[*]".to_owned(), inner(payment.state()).to_owned()));
        public.insert(("[*]".to_owned(), payment.public().name().to_owned()));
        let mut is_on_disk = true;
        // A register that brings the code with its request sees `processing` first.
        if random.below(2) == 0 {
            is_on_disk = false;
        }
        let mut seen = |payment: &Payment| {
            let (state, where_it_is) = (payment.public().name(), payment.money().name());
            money.insert((state.to_owned(), where_it_is.to_owned()));
        };
        seen(&payment);
        while !payment.is_final() {
            now = now + std::time::Duration::from_millis(random.below(20_000) as u64);
            let (verified, blind): (Vec<_>, Vec<_>) =
                answers(payment.state()).into_iter().partition(|answer| {
                    !matches!(
                        answer,
                        Answer::Pay(PayAnswer::Unknown(_) | PayAnswer::NotSent(_))
                            | Answer::Query(QueryAnswer::Unknown(_))
                            | Answer::Cancel(CancelAnswer::Unknown(_))
                    )
                });
            let answered = |answer, gateway_time| {
                Event::Answered(Answered { answer, gateway_time, wire: Wire::default() })
            };
            let mut events: Vec<Event> = vec![Event::Stop, Event::Restarted];
            events.extend(verified.into_iter().map(|answer| answered(answer, Some(now))));
            events.extend(blind.into_iter().map(|answer| answered(answer, None)));
            if let Some(due) = payment.due() {
                now = now.max(due);
                // Most of the time nothing happens but the clock.
                events.extend([Event::Due, Event::Due, Event::Due]);
            }
            if matches!(payment.state(), State::AwaitingCode { .. }) {
                events = if is_on_disk {
                    vec![
                        code(),
                        code(),
                        Event::Hint(Some(Hint::ScanLost)),
                        Event::Due,
                        Event::Stop,
                        Event::Restarted,
                    ]
                } else {
                    vec![code(), Event::Offered(Tag(1))]
                };
            }
            if payment.state() == State::Owing {
                events.extend([Event::GaveBack(Ok(())), Event::GaveBack(Err(reason()))]);
            }
            let event = random.one_of(events);
            let stepped = payment.step(&event, moment(now), &rules).expect("it may happen");
            let from = if is_on_disk { payment.public().name() } else { "[*]" };
            let to = stepped.payment.public().name();
            if from != to {
                public.insert((from.to_owned(), to.to_owned()));
            }
            let (from, to) = (inner(payment.state()), inner(stepped.payment.state()));
            if from != to {
                inside.insert((from.to_owned(), to.to_owned()));
            }
            payment = stepped.payment;
            seen(&payment);
            is_on_disk = true;
        }
        let last = payment.public().name().to_owned();
        public.insert((last, "[*]".to_owned()));
        inside.insert((inner(payment.state()).to_owned(), "[*]".to_owned()));
    }
    Walked { public, inside, money }
}

/// The arrows of the mermaid diagram in a section of the page.
pub(crate) fn drawn(heading: &str) -> Edges {
    let page = page("docs/state-machine.md");
    let section = section(&page, heading);
    let diagram = section.split("```mermaid").nth(1).expect("a diagram");
    let diagram = diagram.split("```").next().expect("its end");
    let arrow = |line: &str| {
        let (from, rest) = line.split_once("-->")?;
        let to = rest.split(':').next().unwrap_or_default();
        Some((from.trim().to_owned(), to.trim().to_owned()))
    };
    diagram.lines().filter_map(arrow).collect()
}

pub(crate) fn assert_same(what: &str, drawn: &Edges, real: &Edges) {
    let show = |edges: Vec<&(String, String)>| {
        edges.iter().map(|(from, to)| format!("{from} --> {to}\n")).collect::<String>()
    };
    let (missing, wrong) = (real.difference(drawn).collect(), drawn.difference(real).collect());
    let (missing, wrong) = (show(missing), show(wrong));
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "{what}: not drawn:\n{missing}but drawn:\n{wrong}"
    );
}

#[test]
fn the_diagrams_have_exactly_the_arrows_of_the_machine() {
    let Walked { public, inside, .. } = walk();
    assert_same("what a register sees", &drawn("## What a register sees"), &public);
    assert_same("what happens inside", &drawn("## What happens inside"), &inside);
}

#[test]
fn every_public_state_is_explained_with_its_money_and_what_may_follow() {
    let Walked { public, money, .. } = walk();
    let page = page("docs/state-machine.md");
    let section = section(&page, "## What a register sees");
    for state in Public::ALL {
        let start = format!("| `{}` |", state.name());
        let row = section.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| {
            panic!("{} has no row in docs/state-machine.md", state.name());
        });
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let next: Vec<String> = Public::ALL
            .into_iter()
            .filter(|to| public.contains(&(state.name().to_owned(), to.name().to_owned())))
            .map(|to| format!("`{}`", to.name()))
            .collect();
        let next = if next.is_empty() { "none, it is final".to_owned() } else { next.join(", ") };
        let told: Edges = cells[3]
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| Money::ALL.iter().any(|money| money.name() == *word))
            .map(|word| (state.name().to_owned(), word.to_owned()))
            .collect();
        let real = money.iter().filter(|(of, _)| of == state.name()).cloned().collect();
        assert_same(&format!("the money of {}", state.name()), &told, &real);
        assert_eq!(cells.get(4), Some(&next.as_str()), "what may follow {}", state.name());
    }
}
