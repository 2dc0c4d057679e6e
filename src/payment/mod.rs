//! One payment: what it is, and what may happen to it.
//!
//! Nothing in this room knows a clock, a socket, a database or `async`. Time,
//! answers and requests come in as arguments; what to do comes out as a value.
//!
//! ```text
//!  awaiting code ──code──▶ paying ──answer──▶ resting ◀──┐
//!        │                   │ │                 │ due   │ waiting, unknown
//!        │ stop, time over   │ └─paid──▶ PAID    ▼       │
//!        ▼                   │             ▲   querying ─┘
//!    CANCELLED ◀──closed─────│─────────────┴─────┤
//!        ▲                   │ declined          │ time is up: point of no return
//!        │ undone            └──▶ querying ──▶ cancelling ──unknown──▶ resting
//!        └────────────────────────────────────────┤
//!                                                 └─(behind a decline)─▶ DECLINED
//! ```
//!
//! What goes back of a payment that stays paid is a machine of its own:
//! [`Refund`].

mod account;
mod amount;
mod answer;
mod clock;
mod code;
mod entry;
mod extras;
mod hide;
mod hint;
mod mark;
mod next;
mod offer;
mod order;
mod refund;
mod said;
mod stage;
mod state;
mod step;
mod till;
mod words;

#[cfg(test)]
mod tests;

pub use account::{Account, Asker};
pub use amount::{Amount, AmountError};
pub use answer::{
    Answer, Answered, Back, CancelAnswer, Judged, PayAnswer, PrecreateAnswer, QueryAnswer, Reason,
    RefundAnswer, RefundQueryAnswer, Trade, Trouble, TroubleKind, Wire,
};
pub use clock::{Moment, Rules, Timestamp};
pub use code::{AuthCode, OtherCode, ScaleLabels, SecretText, is_printed_on_goods, split_aim};
pub use entry::{Entry, Recorded, ScannerNews, Step as EntryStep, StepName};
pub use extras::Extras;
pub use hide::{are_halves, hide_codes, show_scan};
pub use hint::{Hint, ScanKind};
pub use mark::{CodeKey, CodeMark};
pub use offer::{Heard, How, Offer, Refusal, Tag, Undo, Whose};
pub use order::{InvalidNumber, Method, Order, OutTradeNo};
pub use refund::{
    Exceeds, Happened, OutRequestNo, Refund, RefundAttention, RefundCause, RefundHeard,
    RefundRecord, RefundRequest, RefundStage, RefundState, RefundSum, RefundThen, Refunded, Turn,
    WrongTurn,
};
pub use said::{Fen, Said};
pub use stage::{Impossible, Payment, Record};
pub use state::{Attention, CancelAction, Money, Public, State};
pub use step::{Call, Event, Illegal, Stepped};
pub use till::{Till, Tills};
pub use words::Sentence;
