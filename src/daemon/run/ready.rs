//! A call that is made ready while its entry is on its way to the disk.

use std::sync::Arc;
use std::time::Duration;

use crate::alipay::Client;
use crate::daemon::signer::Signing;
use crate::payment::Timestamp;
use crate::terminal::Serial;

/// A call that waited longer for its entry is dated anew, and so is one of before
/// a step of the clock: the gateway refuses dates that are off.
const DATE_AGES: Duration = Duration::from_secs(5);

/// Belongs to its entry: lost with it, and wiped; sent at most once, when the entry
/// is on disk and the terminal says so.
pub(super) struct Ready {
    pub(super) serial: Serial,
    /// With whose keys.
    pub(super) client: Arc<Client>,
    /// By the gateway's clock.
    pub(super) dated: Timestamp,
    pub(super) signing: Signing,
}

impl Ready {
    /// The call, if it is as it would be made ready now.
    pub(super) fn if_good(self, client: &Arc<Client>, gateway_now: Timestamp) -> Option<Signing> {
        let age = gateway_now.millis().abs_diff(self.dated.millis());
        let is_young = u128::from(age) < DATE_AGES.as_millis();
        (is_young && Arc::ptr_eq(client, &self.client)).then_some(self.signing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alipay::ask::{Ask, Expect};
    use crate::alipay::sign::{PrivateKey, PublicKey, SignType};
    use crate::alipay::{Gateway, Settings};
    use crate::daemon::signer::Signer;
    use crate::payment::Order;

    const NOW: Timestamp = Timestamp(1_767_294_245_000);

    fn client() -> Arc<Client> {
        let app = include_bytes!("../../../tests/vectors/keys/app_private_pkcs1.pem");
        let alipay = include_bytes!("../../../tests/vectors/keys/alipay_side_public.pem");
        let settings = Settings {
            gateway: Gateway::read("http://127.0.0.1:9/gateway.do").unwrap(),
            app_id: "2014072300007148".to_owned(),
            sign_type: SignType::Rsa2,
            private_key: PrivateKey::read(app, SignType::Rsa2).unwrap(),
            alipay_public_key: PublicKey::read(alipay, SignType::Rsa2).unwrap(),
            ca_pem: None,
            proxy: None,
            request_timeout: Duration::from_secs(1),
            terminal_id: "T_001".to_owned(),
            store_id: None,
            operator_id: None,
        };
        Arc::new(Client::new(settings).unwrap())
    }

    fn ask() -> Ask {
        let order = Order::new("A1".parse().unwrap(), "1.20".parse().unwrap(), "tea".to_owned());
        Ask::Query(Expect::of(&order))
    }

    #[tokio::test]
    async fn what_is_ready_is_sent_only_if_it_would_be_the_same_now() {
        let (client, other) = (client(), client());
        let mut signer = Signer::new();
        let mut ready = |alone: bool| {
            let signing = if alone {
                Signing::Done(client.prepare(ask(), NOW))
            } else {
                signer.sign(Arc::clone(&client), ask(), NOW).expect("there is room")
            };
            Ready { serial: Serial(1), client: Arc::clone(&client), dated: NOW, signing }
        };
        let late = |ms: i64| Timestamp(NOW.millis() + ms);
        for alone in [true, false] {
            for age in [-4_999, 0, 4_999] {
                let good = ready(alone).if_good(&client, late(age)).expect("good");
                assert!(good.done().await.is_some(), "{alone} {age}");
            }
            // The disk has hung, or the clock was set.
            for age in [-5_000, 5_000, 3_600_000] {
                assert!(ready(alone).if_good(&client, late(age)).is_none(), "{alone} {age}");
            }
            // Alipay does not know the key of before any more.
            assert!(ready(alone).if_good(&other, NOW).is_none(), "{alone}");
        }
    }
}
