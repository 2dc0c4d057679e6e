//! From the configuration to what the daemon runs with, and every fault in it.

use std::path::Path;
use std::process::ExitCode;

use crate::alipay::keys::{PrivateKey, PublicKey, self_test};
use crate::alipay::{Client, Settings, SetupError};
use crate::api::Token;
use crate::config::{self, Config, Fault, KeyFile};
use crate::journal::ChainKey;
use crate::payment::{Account, CodeKey};
use crate::scanner::rivals;
use crate::scanner::sysfs::System;

/// What the daemon runs with.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) client: Client,
    /// Marks payment codes; derived from the application's private key.
    pub(super) code_key: CodeKey,
    /// Under which the journal is written; derived from it as well.
    pub(super) chain_key: ChainKey,
    /// In which payments are taken.
    pub(super) account: Account,
    pub(super) token: Option<Token>,
}

/// `tilld check`: one line a fault, 0 or 1.
pub(super) fn main(file: &Path) -> ExitCode {
    match setup(file) {
        Ok(setup) => {
            for warning in &setup.config.warnings {
                super::say(&format!("warning: {warning}"));
            }
            for warning in rivals(&System::default(), &setup.config.scanners) {
                super::say(&format!("warning: {warning}"));
            }
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in faults {
                super::say(&fault.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

/// The same for the daemon itself.
pub(super) fn load(file: &Path) -> Result<Setup, String> {
    let setup = setup(file)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    for warning in &setup.config.warnings {
        tracing::warn!("{warning}");
    }
    for warning in rivals(&System::default(), &setup.config.scanners) {
        tracing::warn!("{warning}");
    }
    Ok(setup)
}

pub(super) fn setup(file: &Path) -> Result<Setup, Vec<Fault>> {
    let config = config::load(file)?;
    let mut faults = Vec::new();
    let client = client(&config, &mut faults);
    let token = config.api.listen.as_ref().and_then(|listen| {
        Token::new(&listen.token)
            .map_err(|why| faults.push(listen.token_place.fault(&why.to_string())))
            .ok()
    });
    match client {
        Some((client, code_key, chain_key)) if faults.is_empty() => {
            let account = account(&config);
            Ok(Setup { config, client, code_key, chain_key, account, token })
        }
        _ => Err(faults),
    }
}

/// As payments of this configuration are known at the gateway.
fn account(config: &Config) -> Account {
    let gateway = config.alipay.gateway.authority().to_owned();
    Account { gateway, app_id: config.alipay.app_id.clone(), merchant: None }
}

/// The client of the configuration's gateway with its keys, and what is derived from
/// ours: what marks payment codes, and what chains the journal's entries.
pub(super) fn client(
    config: &Config,
    faults: &mut Vec<Fault>,
) -> Option<(Client, CodeKey, ChainKey)> {
    let alipay = &config.alipay;
    let sign_type = alipay.sign_type;
    let at = |key: &KeyFile, why: &dyn std::fmt::Display| key.place().fault(&why.to_string());
    let private = PrivateKey::read(alipay.private_key.bytes(), sign_type)
        .map_err(|why| faults.push(at(&alipay.private_key, &why)))
        .ok();
    let public = PublicKey::read(alipay.alipay_public_key.bytes(), sign_type)
        .map_err(|why| faults.push(at(&alipay.alipay_public_key, &why)))
        .ok();
    let (private, public) = (private?, public?);
    if let Err(why) = self_test(&private, &public, sign_type) {
        faults.push(at(&alipay.alipay_public_key, &why));
        return None;
    }
    let code_key = private.code_key();
    let chain_key = ChainKey::new(&private.key_for(ChainKey::PURPOSE));
    let settings = Settings {
        gateway: alipay.gateway.clone(),
        app_id: alipay.app_id.clone(),
        sign_type,
        private_key: private,
        alipay_public_key: public,
        ca_pem: alipay.ca.as_ref().map(|ca| ca.bytes().to_vec()),
        proxy: alipay.proxy.as_ref().map(|proxy| proxy.reveal().to_owned()),
        request_timeout: alipay.request_timeout,
        terminal_id: config.terminal.id.clone(),
        store_id: config.terminal.store_id.clone(),
        operator_id: config.terminal.operator_id.clone(),
    };
    match Client::new(settings) {
        Ok(client) => Some((client, code_key, chain_key)),
        Err(why) => {
            let fault = match (&why, &alipay.ca) {
                (SetupError::Ca, Some(ca)) => at(ca, &why),
                _ => Fault::new(&config.file, 1, "alipay", &why.to_string()),
            };
            faults.push(fault);
            None
        }
    }
}
