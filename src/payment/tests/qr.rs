//! Stories of payments by a code that the buyer scans.

use super::*;

#[test]
fn what_is_shown_and_scanned_is_paid() {
    let payment = check(
        "0s offered => precreating Precreate
         1s made    => resting",
    );
    assert_eq!((payment.public(), payment.money()), (Public::AwaitingBuyer, Money::Unknown));
    assert_eq!(payment.offer().and_then(Offer::qr_code), Some("https://qr.alipay.com/x"));
    assert!(payment.cashier().zh.contains("扫二维码"), "{:?}", payment.cashier());
    // Nobody has scanned it: no news, and nobody is troubled.
    check(
        "0s offered   => precreating Precreate
         1s made      => resting
         6s due       => querying Query ~
         7s not-exist => resting
        11s due       => querying Query ~
        12s not-exist => resting ~
        16s due       => querying Query ~
        17s waiting   => resting
        21s due       => querying Query ~
        22s paid      => PAID",
    );
}

#[test]
fn what_nobody_scans_is_watched_until_nobody_can() {
    // Alipay's end and ours are the same: here 60 s, and ten for clocks that differ.
    let payment = check(
        "0s offered   => precreating Precreate
         1s made      => resting
        60s stop      => querying Query
        61s not-exist => cancelling Cancel
        62s no-action => resting
        63s due       => querying Query ~
        64s not-exist => cancelling Cancel
        65s no-action => resting
        67s due       => querying Query ~
        68s not-exist => cancelling Cancel
        69s no-action => resting
        72s due       => querying Query ~
        73s not-exist => cancelling Cancel
        74s no-action => CANCELLED close",
    );
    assert_eq!(payment.money(), Money::None);
}

#[test]
fn what_is_scanned_in_the_last_second_is_undone_or_kept_but_never_lost() {
    check(
        "0s offered   => precreating Precreate
         1s made      => resting
        60s stop      => querying Query
        61s paid      => PAID",
    );
    check(
        "0s offered   => precreating Precreate
         1s made      => resting
        60s stop      => querying Query
        61s not-exist => cancelling Cancel
        62s no-action => resting
        63s due       => querying Query ~
        64s paid      => cancelling Cancel
        65s refunded  => CANCELLED refund",
    );
}

#[test]
fn what_could_not_be_made_is_made_sure_of() {
    check(
        "0s offered   => precreating Precreate
         1s declined  => querying Query
         2s not-exist => cancelling Cancel
         3s no-action => DECLINED",
    );
    // Its answer was lost: nobody sees what there may be, and nobody asks for another.
    let lost = check(
        "0s offered   => precreating Precreate
         9s unknown   => querying Query
        10s not-exist => cancelling Cancel
        11s no-action => resting",
    );
    assert_eq!(lost.offer().and_then(Offer::qr_code), None);
    check(
        "0s offered   => precreating Precreate
         1s restart   => querying Query
         2s not-exist => cancelling Cancel",
    );
}

#[test]
fn what_never_left_is_tried_for_a_while() {
    check(
        "0s offered  => precreating Precreate
         0s not-sent => unsent
         2s due      => precreating Precreate
         3s not-sent => unsent
         5s due      => precreating Precreate
         9s not-sent => CANCELLED none",
    );
}
