use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A place for a file, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("tquicd-known-{}-{name}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        Self(place)
    }

    fn file(&self) -> PathBuf {
        self.0.join("bond.known")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(name: &str, address: &str) -> Key {
    Key::new(name, &[address.parse().unwrap()], "198.51.100.1".parse().unwrap())
}

fn profile() -> Profile {
    Profile { min_rtt: Duration::from_micros(20_206), rate: 6_131_712 }
}

fn token() -> ServerToken {
    ServerToken { version: Version::V1, server: "abc.tq:8443".into(), token: vec![3, 0xff, 0x10] }
}

#[test]
fn what_was_measured_is_there_after_a_restart_and_for_nobody_else() {
    let place = Place::new("restart");
    let mut memory = Memory::load(place.file());
    memory.learn(key("dsl", "192.168.1.7"), profile());
    memory.keep(vec![token()], false);
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Memory::load(place.file());
    let (found, age) = again.find(&key("dsl", "192.168.1.99")).unwrap();
    assert!(found == profile() && age < Duration::from_secs(60));
    assert_eq!(again.tokens(), [token()]);
}

#[test]
fn another_name_network_or_server_is_another_link() {
    let mut memory = Memory::load(PathBuf::from("/nonexistent/known"));
    memory.learn(key("dsl", "192.168.1.7"), profile());
    assert!(memory.find(&key("lte", "192.168.1.7")).is_none());
    assert!(memory.find(&key("dsl", "192.168.2.7")).is_none());
    let other = Key::new("dsl", &["192.168.1.7".parse().unwrap()], "198.51.100.2".parse().unwrap());
    assert!(memory.find(&other).is_none());
    let more = ["192.168.1.7".parse().unwrap(), "fe80::1".parse().unwrap()];
    assert!(memory.find(&Key::new("dsl", &more, "198.51.100.1".parse().unwrap())).is_some());
}

#[test]
fn a_file_that_cannot_be_read_is_as_good_as_none_and_replaced() {
    let place = Place::new("damaged");
    let huge = format!("{HEAD}\n{}", "link a b 198.51.100.1 1 1 1\n".repeat(4000));
    for text in ["", "tquic-known 2\n", "tquic-known 1\nlink dsl\n", "tquic-known 1\ntoken 1 a 0g\n", &huge] {
        fs::write(place.file(), text).unwrap();
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
        let mut memory = Memory::load(place.file());
        assert!(memory.links.is_empty() && memory.tokens.is_empty(), "{text:.40}");
        memory.learn(key("dsl", "192.168.1.7"), profile());
        memory.keep(Vec::new(), false);
        assert_eq!(Memory::load(place.file()).links.len(), 1);
    }
    // others could have written into it
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Memory::load(place.file()).links.is_empty());
}

#[test]
fn what_is_a_day_old_or_of_the_future_is_not_used_and_what_is_old_not_written_again() {
    let mut memory = Memory::load(PathBuf::from("/nonexistent/known"));
    let now = clock::unix_now();
    for (at, used) in [(now, true), (now - OLD, false), (now + 100, false)] {
        memory.links = vec![Kept { key: key("dsl", "192.168.1.7"), profile: profile(), at }];
        assert_eq!(memory.find(&key("dsl", "192.168.1.7")).is_some(), used);
    }
    memory.links[0].at = now - OLD;
    assert_eq!(memory.text(), format!("{HEAD}\n"));
}

#[test]
fn sixty_four_links_are_kept_and_the_oldest_goes() {
    let mut memory = Memory::load(PathBuf::from("/nonexistent/known"));
    for n in 0..100 {
        memory.learn(key(&format!("link{n}"), "192.168.1.7"), profile());
    }
    assert_eq!(memory.links.len(), LINKS);
    assert!(memory.find(&key("link99", "192.168.1.7")).is_some());
    assert!((memory.text().len() as u64) < LONGEST);
}

#[test]
fn a_file_is_written_once_in_ten_minutes_unless_it_is_urgent() {
    let place = Place::new("often");
    let mut memory = Memory::load(place.file());
    memory.keep(vec![token()], false);
    memory.learn(key("dsl", "192.168.1.7"), profile());
    memory.keep(vec![token()], false);
    assert!(Memory::load(place.file()).links.is_empty());
    memory.keep(vec![token()], true);
    assert_eq!(Memory::load(place.file()).links.len(), 1);
}
