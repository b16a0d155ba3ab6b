//! What a lab needs of a machine.

use super::lacking;

#[test]
fn root_of_a_container_is_told_what_it_lacks() {
    assert_eq!(lacking("Name:\tlab\nCapEff:\t000001ffffffffff\n"), [""; 0]);
    // What Docker leaves unless told.
    assert_eq!(lacking("CapEff:\t00000000a80425fb\n"), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    assert_eq!(lacking("CapEff:\t0000000000000000\n").len(), 3);
    assert_eq!(lacking("Name:\tlab\n"), [""; 0]);
}
