use super::*;

#[test]
fn every_line_names_devices_of_its_own_host_and_namespaces_of_the_lab() {
    let lab: LabName = "t1".parse().unwrap();
    let plan = plan(&lab, 3);
    assert_eq!(plan.len(), Host::ALL.len());
    for (_, lines) in &plan {
        for line in lines {
            if let Some((_, peer)) = line.split_once(" netns ") {
                assert!(peer.starts_with("tqlab-t1-"), "{line}");
            }
        }
    }
    let wires = plan.iter().flat_map(|(_, lines)| lines).filter(|line| line.starts_with("link add"));
    assert_eq!(wires.count(), 2 + 2 * 3);
    // Wires come before what is done to their far ends.
    assert!(
        matches!(plan[0].0, Host::Router | Host::Server) && matches!(plan[1].0, Host::Router | Host::Server)
    );
}

#[test]
fn names_fit_the_kernel() {
    for i in [0, names::MOST_LINKS - 1] {
        let [user, net] = names::ends(i);
        assert!([user, net, names::wan(i)].iter().all(|name| name.len() < 16));
    }
    assert!("x".repeat(13).parse::<LabName>().is_err());
    assert!("../x".parse::<LabName>().is_err());
    assert!("links".parse::<Host>().is_err(), "nothing may run where the emulator is");
}

#[test]
fn a_name_for_the_machines_own_network_is_refused() {
    let lab: LabName = "nosuchlab".parse().unwrap();
    assert!(namespace(&lab, Host::Router).is_err());
    assert!(existing(&lab).is_empty());
}
