use super::*;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile::new(path, text)
}

fn lists() -> Vec<(String, String)> {
    vec![(
        "9000".to_owned(),
        "# a remark\n10.1-1 wait at least three PTOs\n10.2-1 be quiet\n11-1 judge except: the application does\n"
            .to_owned(),
    )]
}

#[test]
fn a_citation_belongs_to_the_function_below_it_or_around_it() {
    let text = "/// Waits.\n// MUST 9000-10.1-1, 9000-10.2-1.\n#[inline]\npub(crate) fn wait() {\n    \
                // MUST 9000-11-1\n    stop();\n}\n// MUST 9000-4-2\nconst LIMIT: u8 = 1;\n";
    let found = citations(text);
    let names: Vec<_> = found.iter().map(|(line, id, owner)| (*line, id.as_str(), owner.as_str())).collect();
    assert_eq!(
        names,
        [
            (2, "9000-10.1-1", "wait"),
            (2, "9000-10.2-1", "wait"),
            (5, "9000-11-1", "wait"),
            (8, "9000-4-2", "LIMIT")
        ]
    );
}

#[test]
fn prose_and_literals_cite_nothing() {
    assert!(citations("// A peer MUST not do 10-20-30 things\nlet a = \"// MUST 9000-1-1\";\n").is_empty());
}

#[test]
fn a_rule_needs_an_owner_and_a_test_or_a_reason() {
    let files = [
        file("crates/a/src/lib.rs", "// MUST 9000-10.1-1\nfn wait() {}\n// MUST 9000-10.2-1\nfn hush() {}\n"),
        file("crates/a/src/tests.rs", "// MUST 9000-10.1-1\nfn it_waits() {}\n"),
    ];
    let (rules, problems) = join(&lists(), &files);
    assert!(problems.is_empty(), "{problems:?}");
    let faults: Vec<_> = rules.iter().filter_map(|(id, rule)| fault(id, rule)).collect();
    assert_eq!(faults, ["9000-10.2-1: no test: be quiet"]);
    assert_eq!(counts(&rules)["9000"], Count { all: 3, proved: 1, excepted: 1, open: 1 });
    let page = page(&rules, number);
    assert!(page.contains("| 9000-11-1 | judge | excepted: the application does | |"), "{page}");
    assert!(page.contains("crates/a/src/lib.rs `wait` | crates/a/src/tests.rs `it_waits` |"), "{page}");
}

#[test]
fn an_unknown_rule_and_a_double_one_are_told() {
    let mut lists = lists();
    lists[0].1.push_str("10.1-1 again\n");
    let (_, problems) = join(&lists, &[file("x.rs", "fn a() {\n    // MUST 9000-99-1\n}\n")]);
    assert_eq!(
        problems,
        ["testdata/requirements: 9000-10.1-1 stands there twice", "x.rs:2: no rule is called 9000-99-1"]
    );
}

#[test]
fn the_multipath_draft_has_a_page_of_its_own() {
    let mut lists = lists();
    lists.push(("mp21".to_owned(), "3.4-2 speak no more there\n".to_owned()));
    let owner = file("crates/a/src/lib.rs", "// MUST mp21-3.4-2\nfn leave() {}\n");
    let (rules, problems) =
        join(&lists, &[owner, file("a/tests/b.rs", "// MUST mp21-3.4-2\nfn silent() {}\n")]);
    assert!(problems.is_empty(), "{problems:?}");
    let (rfcs, draft) = (page(&rules, number), page(&rules, is_multipath));
    assert!(!rfcs.contains("mp21") && !draft.contains("9000"), "{rfcs}{draft}");
    assert!(draft.contains("| draft-ietf-quic-multipath-21 | 1 | 1 | 0 | 0 |"), "{draft}");
    assert!(draft.contains(
        "| mp21-3.4-2 | speak no more there | crates/a/src/lib.rs `leave` | a/tests/b.rs `silent` |"
    ));
}
