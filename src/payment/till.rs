//! Which till a payment is taken at, for Alipay's records and for the receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A till, as Alipay knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Till {
    /// `terminal_id`.
    pub terminal_id: String,
    /// `store_id`.
    pub store_id: Option<String>,
    /// `operator_id`, unless the order names its own.
    pub operator_id: Option<String>,
}

/// The tills of this box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tills {
    usual: Arc<Till>,
    /// By the scanners that are tills of their own.
    own: BTreeMap<String, Arc<Till>>,
}

impl Tills {
    /// One till, whatever the scanner.
    #[must_use]
    pub fn new(usual: Till) -> Self {
        Self { usual: usual.into(), own: BTreeMap::new() }
    }

    /// The same, but this scanner is a till of its own, as far as it says so.
    pub fn add(&mut self, scanner: &str, terminal_id: Option<String>, store_id: Option<String>) {
        if terminal_id.is_none() && store_id.is_none() {
            return;
        }
        let Till { terminal_id: usual, store_id: usual_store, operator_id } = (*self.usual).clone();
        let till = Till {
            terminal_id: terminal_id.unwrap_or(usual),
            store_id: store_id.or(usual_store),
            operator_id,
        };
        self.own.insert(scanner.to_owned(), till.into());
    }

    /// The till of payments that name no scanner.
    #[must_use]
    pub fn usual(&self) -> &Arc<Till> {
        &self.usual
    }

    /// The till of payments on this scanner.
    #[must_use]
    pub fn at(&self, scanner: Option<&str>) -> &Arc<Till> {
        scanner.and_then(|scanner| self.own.get(scanner)).unwrap_or(&self.usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_is_a_till_of_its_own_as_far_as_it_says_so() {
        let text = |text: &str| Some(text.to_owned());
        let usual = Till {
            terminal_id: "T_001".to_owned(),
            store_id: text("NJ_001"),
            operator_id: text("yx_001"),
        };
        let mut tills = Tills::new(usual.clone());
        tills.add("none", None, None);
        tills.add("terminal", text("T_002"), None);
        tills.add("store", None, text("NJ_002"));
        for (scanner, terminal_id, store_id) in [
            (None, "T_001", "NJ_001"),
            (Some("unheard"), "T_001", "NJ_001"),
            (Some("none"), "T_001", "NJ_001"),
            (Some("terminal"), "T_002", "NJ_001"),
            (Some("store"), "T_001", "NJ_002"),
        ] {
            let expected = Till {
                terminal_id: terminal_id.to_owned(),
                store_id: text(store_id),
                operator_id: text("yx_001"),
            };
            assert_eq!(**tills.at(scanner), expected, "{scanner:?}");
        }
        assert_eq!(**tills.usual(), usual);
    }
}
