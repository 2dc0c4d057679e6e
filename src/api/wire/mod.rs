//! What goes over the socket, in both directions: values and their text.
//!
//! Pure: no clock, no socket, nothing that waits. The server and the client share
//! it, so that there is one type for one thing that is told.

pub(super) mod body;
mod code;
mod denied;
mod events;
mod extras;
mod journal;
pub(super) mod members;
mod money;
pub(super) mod params;
mod payment;
mod problem;
mod qr;
mod reading;
mod ready;
mod receipt;
mod refund;
mod sentence;
mod status;
mod time;

pub use body::{CodeBody, PayBody};
pub use code::{Code, Retry};
pub(super) use events::event_text;
pub use events::{GatewayEvent, ScanEvent, ScannerEvent};
pub use journal::{AnsweredView, AskerView, JournalView, SentView, StepView, ToldView};
pub use money::MoneyView;
pub use params::{Filter, Part, Which};
pub use payment::{CancelActionView, HintView, PaymentView, PaymentsView, ReasonView, StateView};
pub(super) use problem::Problem;
pub use problem::ProblemView;
pub use qr::{qr_svg, qr_text};
pub use reading::Word;
pub(super) use ready::NotReady;
pub use ready::{ReadyView, ReasonNotReady};
pub use receipt::ReceiptView;
pub(super) use refund::refund_request;
pub use refund::{CauseView, RefundBody, RefundStateView, RefundView, RefundsView};
pub use sentence::SentenceView;
pub use status::{
    Clock, ClockView, Gateway, GatewayView, Journal, KeyState, Keys, KeysView, Link, ScannerStatus,
    Status, StatusView,
};
pub use time::time_text;
