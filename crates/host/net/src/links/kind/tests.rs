//! Interfaces as machines have them.

use super::*;

fn marks(hardware: u16, made_by: &str, device_type: &str) -> Marks {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Marks { hardware, loopback: false, made_by: some(made_by), device_type: some(device_type) }
}

#[test]
fn interfaces_of_real_machines_are_told_apart() {
    let cases = [
        ("eth0", marks(1, "", ""), Kind::Physical),
        ("enp3s0", marks(1, "", ""), Kind::Physical),
        ("lan1", marks(1, "", "dsa"), Kind::Physical),
        ("ppp0", marks(512, "ppp", ""), Kind::Physical),
        ("ppp0", marks(512, "", "ppp"), Kind::Physical),
        ("wlp2s0", marks(1, "", "wlan"), Kind::Wifi),
        ("wlan0", marks(1, "", ""), Kind::Wifi),
        ("wwan0", marks(519, "wwan", "wwan"), Kind::Wwan),
        ("wwp0s20u4", marks(1, "", "wwan"), Kind::Wwan),
        ("rmnet_data0", marks(519, "rmnet", ""), Kind::Wwan),
        ("usb0", marks(1, "", "wwan"), Kind::Wwan),
        ("br0", marks(1, "bridge", "bridge"), Kind::Virtual),
        ("eth0.7", marks(1, "vlan", "vlan"), Kind::Virtual),
        ("macvlan0", marks(1, "macvlan", ""), Kind::Virtual),
        ("tun0", marks(65534, "tun", ""), Kind::Virtual),
        ("wg0", marks(65534, "wireguard", "wireguard"), Kind::Virtual),
        ("docker0", marks(1, "", "bridge"), Kind::Virtual),
        ("veth1", marks(1, "veth", ""), Kind::Virtual),
        ("sit0", marks(776, "sit", ""), Kind::Virtual),
        ("tunl0", marks(768, "", ""), Kind::Virtual),
        ("lo", Marks { loopback: true, ..marks(772, "", "") }, Kind::Virtual),
    ];
    for (device, marks, kind) in cases {
        assert_eq!(marks.kind(device), kind, "{device} {marks:?}");
    }
}

#[test]
fn only_mobile_networks_are_metered() {
    assert_eq!(Kind::Wwan.cost(), Cost::Metered);
    for kind in [Kind::Physical, Kind::Wifi, Kind::Virtual] {
        assert_eq!(kind.cost(), Cost::Flat);
    }
}

#[test]
fn virtual_interfaces_need_to_be_allowed_and_denial_comes_first() {
    let select =
        Select { allow: vec!["wan*".into(), "br0".into()], deny: vec!["wan9".into(), "eth*".into()] };
    assert!(select.takes("wan0", Kind::Virtual) && select.takes("br0", Kind::Virtual));
    assert!(!select.takes("br01", Kind::Virtual) && !select.takes("wan9", Kind::Virtual));
    assert!(select.takes("enp1", Kind::Physical) && !select.takes("eth0", Kind::Physical));
    assert!(!Select::default().takes("veth0", Kind::Virtual));
}

#[test]
fn stars_stand_for_any_text() {
    for (pattern, text, is) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "eth0", true),
        ("eth0", "eth0", true),
        ("eth0", "eth01", false),
        ("eth*", "eth", true),
        ("*0", "eth0", true),
        ("*0", "eth1", false),
        ("w*p*u4", "wwp0s20u4", true),
        ("a*a", "a", false),
        ("a**a", "aa", true),
    ] {
        assert_eq!(matches(pattern, text), is, "{pattern} {text}");
    }
}
