//! Code, comments and literals told apart.

use super::lines;

fn code(text: &str) -> String {
    lines(text).iter().map(|line| line.code.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn literals_are_only_their_quotes() {
    assert_eq!(code(r#"f("unsafe // \" x", 'a', '\'', '"', b'\\') + 1"#), r#"f("", '', '', '', b'') + 1"#);
    assert_eq!(code("r#\"std:: \" \"# + br\"x\" + r\"\\\" + bar"), "\"\" + \"\" + \"\" + bar");
    assert_eq!(code("\"one\ntwo unsafe\nthree\" + x"), "\"\n\n\" + x");
}

#[test]
fn lifetimes_and_raw_names_are_code() {
    assert_eq!(code("fn f<'a>(x: &'a str, r#in: T<'_>)"), "fn f<'a>(x: &'a str, r#in: T<'_>)");
}

#[test]
fn comments_are_kept_apart_and_nest() {
    let lines = lines("let x = 1; // why\n/* a /* b */ c\nd */ y");
    assert_eq!((lines[0].code.as_str(), lines[0].comment.as_str()), ("let x = 1; ", " why"));
    assert_eq!((lines[1].code.as_str(), lines[1].comment.as_str()), ("", " a  b  c"));
    assert_eq!((lines[2].code.as_str(), lines[2].comment.as_str()), (" y", "d "));
}

#[test]
fn words_and_path_roots_are_whole() {
    let line = |text| lines(text).remove(0);
    assert!(line("unsafe { }").has_word("unsafe"));
    assert!(!line("#![forbid(unsafe_code)]").has_word("unsafe"));
    assert!(line("use ::alloc::vec::Vec;").has_root("alloc"));
    assert!(line("alloc :: vec![]").has_root("alloc"));
    assert!(!line("use core::alloc::Layout;").has_root("alloc"));
    assert!(!line("tq_alloc::x(); alloc(3)").has_root("alloc"));
    assert!(line("core::x(std::y())").has_root("std"));
}
