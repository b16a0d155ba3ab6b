//! Journals whole, cut, foreign and held.

use super::*;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tq-net-journal-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn nft(n: u32) -> Undo {
    Undo::Nft(format!("tquic{n}"))
}

#[test]
fn what_was_added_is_there_after_a_crash_and_gone_after_clearing() {
    let folder = folder("life");
    let mut journal = Journal::open(&folder, "net-0-1.undo").unwrap();
    assert!(journal.entries().unwrap().is_empty());
    journal.add(&nft(1)).unwrap();
    journal.add(&nft(2)).unwrap();
    drop(journal);
    let mut journal = Journal::open(&folder, "net-0-1.undo").unwrap();
    journal.add(&nft(3)).unwrap();
    assert_eq!(journal.entries().unwrap(), [nft(1), nft(2), nft(3)]);
    journal.clear().unwrap();
    assert!(journal.entries().unwrap().is_empty());
    journal.add(&nft(4)).unwrap();
    assert_eq!(journal.entries().unwrap(), [nft(4)]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_line_that_was_cut_was_never_acted_on() {
    let folder = folder("cut");
    let mut journal = Journal::open(&folder, "net-0-1.undo").unwrap();
    journal.add(&nft(1)).unwrap();
    journal.add(&nft(22)).unwrap();
    drop(journal);
    let path = folder.join("net-0-1.undo");
    let text = std::fs::read_to_string(&path).unwrap();
    for len in 0..=text.len() {
        std::fs::write(&path, &text[..len]).unwrap();
        let lines = text[..len].matches('\n').count().saturating_sub(1);
        let entries = Journal::open(&folder, "net-0-1.undo").unwrap().entries().unwrap();
        assert_eq!(entries, [nft(1), nft(22)][..lines], "{len}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_journal_of_another_version_is_not_touched() {
    let folder = folder("version");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("net-0-1.undo"), "tquic journal 2\nnft tquic\n").unwrap();
    let error = Journal::open(&folder, "net-0-1.undo").unwrap().entries().unwrap_err();
    assert!(error.to_string().contains("tquic journal 2"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn two_cannot_have_the_same_journal() {
    let folder = folder("two");
    let first = Journal::open(&folder, "net-7-1.undo").unwrap();
    let error = Journal::open(&folder, "net-7-1.undo").unwrap_err();
    assert!(matches!(&error, SetupError::InUse { index, .. } if index == "7"), "{error}");
    assert!(Journal::open(&folder, "net-8-1.undo").is_ok());
    drop(first);
    assert!(Journal::open(&folder, "net-7-1.undo").is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_link_in_place_of_the_journal_is_not_followed() {
    let folder = folder("link");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("net-0-1.undo")).unwrap();
    assert!(Journal::open(&folder, "net-0-1.undo").is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
