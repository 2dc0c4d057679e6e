//! May a payment begin now? For `GET /v1/ready`.

use super::reading::view;
use super::{KeyState, Link, Status};
use crate::payment::Sentence;

view! {
    /// Whether a payment may begin now.
    #[schema(as = Ready, example = json!({ "ready": true, "reasons": [] }))]
    pub struct ReadyView {
        /// It may, and it can be expected to reach Alipay.
        pub ready: bool,
        /// Why not; empty when it may.
        pub reasons: Vec<ReasonNotReady>,
    }
}

view! {
    /// One reason why no payment may begin.
    #[schema(as = NotReady, example = json!({
        "code": "gateway_unreachable", "zh": "连不上支付宝。请检查网络", "en": "Alipay cannot be reached (timed out). See to the network"
    }))]
    pub struct ReasonNotReady {
        /// Its stable name: `keys_unproven`, `app_key_wrong`, `alipay_key_wrong`,
        /// `gateway_unreachable`, `clock_wrong`, `journal_unavailable`, `draining` or
        /// `stopping`; there may be others in time.
        pub code: String,
        /// What it is and what to do, in Chinese.
        pub zh: String,
        /// The same in English.
        pub en: String,
    }
}

/// Every reason there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum NotReady {
    Stopping,
    Draining,
    JournalUnavailable,
    ClockWrong,
    AppKeyWrong,
    AlipayKeyWrong,
    KeysUnproven,
    GatewayUnreachable,
}

impl NotReady {
    pub(in crate::api) const ALL: [Self; 8] = [
        Self::Stopping,
        Self::Draining,
        Self::JournalUnavailable,
        Self::ClockWrong,
        Self::AppKeyWrong,
        Self::AlipayKeyWrong,
        Self::KeysUnproven,
        Self::GatewayUnreachable,
    ];

    pub(in crate::api) fn code(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Draining => "draining",
            Self::JournalUnavailable => "journal_unavailable",
            Self::ClockWrong => "clock_wrong",
            Self::AppKeyWrong => "app_key_wrong",
            Self::AlipayKeyWrong => "alipay_key_wrong",
            Self::KeysUnproven => "keys_unproven",
            Self::GatewayUnreachable => "gateway_unreachable",
        }
    }

    /// What it is and what to do, if it is so.
    pub(in crate::api) fn told(self, status: &Status) -> Option<Sentence> {
        let key = |state| {
            let text = || Sentence::new("密钥还没有得到支付宝的验证", "the keys are not proven");
            (status.keys.state == state).then(|| status.keys.trouble.clone().unwrap_or_else(text))
        };
        match self {
            Self::Stopping => status.stopping.then(|| {
                Sentence::new(
                    "终端正在停止，请稍后再试",
                    "the terminal is stopping: try again later",
                )
            }),
            Self::Draining => status.draining.then(|| {
                Sentence::new(
                    "终端正在更新，请一分钟后再试",
                    "the terminal is being updated: try again in a minute",
                )
            }),
            Self::JournalUnavailable => (!status.journal.writable).then(|| {
                let why = status.journal.reason.as_deref().unwrap_or("no reason is known");
                Sentence::new(
                    "账本暂时不能写入。请检查磁盘空间和权限（till doctor）",
                    format!("the journal cannot be written: {why}; see till doctor"),
                )
            }),
            Self::ClockWrong => status.clock.wrong.as_ref().map(|why| {
                Sentence::new(
                    "收银机的时间不对，支付宝不会接受。请校准时间（timedatectl set-ntp true）",
                    why,
                )
            }),
            Self::AppKeyWrong => key(KeyState::AppKeyWrong),
            Self::AlipayKeyWrong => key(KeyState::AlipayKeyWrong),
            Self::KeysUnproven => key(KeyState::Unproven),
            Self::GatewayUnreachable => (status.gateway.link == Link::Down).then(|| {
                let why = status.gateway.trouble.as_deref().unwrap_or("no reason is known");
                Sentence::new(
                    "连不上支付宝。请检查网络",
                    format!("Alipay cannot be reached ({why}): see to the network"),
                )
            }),
        }
    }
}

impl ReadyView {
    /// By how the terminal is.
    pub(in crate::api) fn of(status: &Status) -> Self {
        let reasons: Vec<_> = NotReady::ALL
            .into_iter()
            .filter_map(|reason| {
                let Sentence { zh, en } = reason.told(status)?;
                Some(ReasonNotReady { code: reason.code().to_owned(), zh, en })
            })
            .collect();
        Self { ready: reasons.is_empty(), reasons }
    }
}
