//! What is understood, and what is not.

use super::{Words, seconds};

fn words(text: &str) -> Words {
    Words::new(text.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn verbs_may_be_shortened_and_left_out() {
    let verb =
        |text: &str| words(text).verb(&["show", "add", "set", "del"]).map_err(|error| error.to_string());
    assert_eq!(verb(""), Ok("show"));
    assert_eq!(verb("a"), Ok("add"));
    assert_eq!(verb("s"), Ok("show"));
    assert_eq!(verb("se"), Ok("set"));
    assert_eq!(verb("drop"), Err("\"drop\": expected show, add, set, del".into()));
}

#[test]
fn pairs_come_in_any_order() {
    let link = words("cost metered backup dev wwan0").link().unwrap();
    assert_eq!(
        (link.device.as_deref(), link.cost.as_deref(), link.backup),
        (Some("wwan0"), Some("metered"), true)
    );
    let change = words("down nobackup").change().unwrap();
    assert_eq!((change.up, change.backup), (Some(false), Some(false)));
    let change = words("cap 20 Mbit/s weight 5 priority 2").change().unwrap();
    assert_eq!(
        (change.cap.as_deref(), change.weight, change.priority),
        (Some("20 Mbit/s"), Some(5), Some(2))
    );
    let change = words("noweight cap 20mbit").change().unwrap();
    assert_eq!((change.cap.as_deref(), change.weight), (Some("20mbit"), Some(0)));
    assert_eq!(words("nocap").change().unwrap().cap.as_deref(), Some("none"));
    assert!(words("weight much").change().is_err() && words("cap").change().is_err());
    assert_eq!(words("expires 7d dev van").device().unwrap(), (Some("van".into()), Some(604_800)));
    for bad in ["", "dev", "dev a local b", "dev a cost free", "dev a/b"] {
        assert!(words(bad).link().is_err(), "{bad}");
    }
    assert!(words("").change().is_err());
    assert!(words("one").end().is_err());
}

#[test]
fn times_have_units() {
    assert_eq!(seconds("90s"), Some(90));
    assert_eq!(seconds("12h"), Some(43_200));
    for bad in ["", "7", "d", "-1d", "7w", "99999999999999999999d", "18446744073709551615d", "7é"] {
        assert_eq!(seconds(bad), None, "{bad}");
    }
}
