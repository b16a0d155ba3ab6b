//! Each house rule on a small made-up file: what it catches and what it leaves alone.

use super::{SourceFile, check_files};

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

/// Problems of one file that has the opening comment it needs; its lines count from 2.
fn of(path: &str, text: &str) -> Vec<String> {
    check_files(&[file(path, &format!("//! Doc.\n{text}"))])
}

fn starts(problems: &[String], starts: &[&str]) {
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem} does not start with {start}");
    }
}

const HOST: &str = "crates/host/udp/src/lib.rs";
const CORE: &str = "crates/core/quic/src/stream.rs";

#[test]
fn a_clean_file_is_fine() {
    assert_eq!(
        of(CORE, "use core::fmt;\nfn f<'a>(x: &'a str) -> &'a str {\n    x\n}\n"),
        Vec::<String>::new()
    );
}

#[test]
fn six_hundred_lines_are_the_most() {
    assert_eq!(of(CORE, &"x\n".repeat(599)), Vec::<String>::new());
    starts(
        &of(CORE, &"x\n".repeat(600)),
        &["crates/core/quic/src/stream.rs:601: longer than 600 lines: find"],
    );
}

#[test]
fn a_source_file_opens_with_its_purpose() {
    let naked = |path| check_files(&[file(path, "fn f() {}\n")]);
    starts(&naked(CORE), &["crates/core/quic/src/stream.rs:1: does not begin with `//!`"]);
    starts(&naked("crates/core/quic/tests/pair.rs"), &[]);
}

#[test]
fn leftovers_are_found_in_code_only() {
    let text = "todo!();\n    unimplemented!(\"x\");\nlet x = dbg!(1);\n#[ignore]\n#[ignore = \"slow\"]\n";
    starts(
        &of(HOST, text),
        &[
            "crates/host/udp/src/lib.rs:2: `todo!`",
            "crates/host/udp/src/lib.rs:3: `unimplemented!`",
            "crates/host/udp/src/lib.rs:4: `dbg!`",
            "crates/host/udp/src/lib.rs:5: an ignored test",
            "crates/host/udp/src/lib.rs:6: an ignored test",
        ],
    );
    starts(&of(HOST, "// todo!() was here\nlet x = \"dbg!(\";\nlet todo = 1;\nmy_dbg!(2);\n"), &[]);
    let note = format!("// {}ME later\n", "FIX");
    starts(&of(HOST, &note), &["crates/host/udp/src/lib.rs:2: a note to oneself"]);
    starts(&of(HOST, &format!("let x = \"{}\";\n", note.trim())), &[]);
}

#[test]
fn tabs_and_trailing_blanks_are_found() {
    starts(
        &of(HOST, "\tlet x = 1;\nlet y = 2; \n"),
        &["crates/host/udp/src/lib.rs:2: a tab", "crates/host/udp/src/lib.rs:3: trailing blanks"],
    );
}

#[test]
fn only_the_mem_module_of_base_names_alloc() {
    let text = "extern crate alloc;\npub use alloc::vec::Vec;\n";
    starts(&of("crates/base/buf/src/mem.rs", text), &[]);
    starts(
        &of(CORE, text),
        &[
            "crates/core/quic/src/stream.rs:2: `alloc` named outside",
            "crates/core/quic/src/stream.rs:3: `alloc` named outside",
        ],
    );
    starts(
        &of("crates/core/quic/src/mem.rs", "use alloc::vec::Vec;\n"),
        &["crates/core/quic/src/mem.rs:2: `alloc`"],
    );
    starts(&of(CORE, "use core::alloc::Layout;\nself.alloc(3);\n// alloc::vec\n"), &[]);
    starts(&of(HOST, "extern crate alloc;\n"), &[]);
    starts(&of("crates/base/buf/tests/memory.rs", "use std::{\n    alloc::System,\n};\n"), &[]);
}

#[test]
fn std_stays_out_of_base_policy_and_core_except_in_tests() {
    let text = "use std::collections::HashMap;\n";
    for path in ["crates/base/time/src/x.rs", "crates/policy/cc/src/x.rs", "crates/core/quic/src/x.rs"] {
        starts(&of(path, text), &[&format!("{path}:2: `std` in a crate without an operating system")]);
    }
    starts(&of(HOST, text), &[]);
    starts(&of("crates/core/quic/tests/pair.rs", text), &[]);
    starts(
        &of("crates/core/quic/src/stream/tests.rs", text),
        &["crates/core/quic/src/stream/tests.rs:2: `std`"],
    );
    starts(&of(CORE, "#[cfg(test)]\nextern crate std;\n// std::fmt\nlet x = \"std::\";\n"), &[]);
}

#[test]
fn a_module_declared_for_tests_is_test_code_with_all_below_it() {
    let parent =
        "//! Doc.\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[allow(dead_code)]\npub(crate) mod pair;\n";
    let child = "//! Doc.\nuse std::vec::Vec;\n";
    let problems = check_files(&[
        file("crates/core/quic/src/lib.rs", parent),
        file("crates/core/quic/src/tests.rs", child),
        file("crates/core/quic/src/tests/migration.rs", child),
        file("crates/core/quic/src/pair.rs", child),
        file("crates/core/quic/src/stream.rs", "//! Doc.\n#[cfg(test)]\nmod tests;\nmod inner;\n"),
        file("crates/core/quic/src/stream/tests.rs", child),
        file("crates/core/quic/src/stream/inner.rs", child),
    ]);
    starts(&problems, &["crates/core/quic/src/stream/inner.rs:2: `std`"]);
}

#[test]
fn unsafe_stays_in_its_rooms() {
    starts(&of(CORE, "unsafe { f() }\n"), &["crates/core/quic/src/stream.rs:2: `unsafe` outside"]);
    starts(
        &of("apps/tquic/src/main.rs", "unsafe fn f() {}\n"),
        &["apps/tquic/src/main.rs:2: `unsafe` outside"],
    );
    let test = "crates/core/quic/tests/memory.rs";
    starts(&of(test, "// SAFETY: x.\nunsafe impl GlobalAlloc for X {}\n"), &[]);
    starts(
        &of(test, "unsafe impl GlobalAlloc for X {}\n"),
        &[&format!("{test}:2: `unsafe` without a reason")],
    );
    starts(&of(CORE, "#![forbid(unsafe_code)]\n// unsafe\n"), &[]);
}

#[test]
fn an_unsafe_block_says_why_it_is_sound() {
    let missing = "crates/host/udp/src/lib.rs:";
    starts(&of(HOST, "let x = unsafe { f() };\n"), &[&format!("{missing}2: `unsafe` without a reason")]);
    starts(&of(HOST, "unsafe impl Send for X {}\n"), &[&format!("{missing}2: `unsafe` without a reason")]);
    starts(&of(HOST, "// SAFETY: x is valid,\n// for long.\nlet x = unsafe { f() };\n"), &[]);
    starts(&of(HOST, "// SAFETY: x.\nlet x =\n    g(\n        unsafe { f() });\n"), &[]);
    starts(&of(HOST, "unsafe { f() } // SAFETY: x.\n"), &[]);
    starts(&of(HOST, "/// # Safety\n/// `x` is valid.\nunsafe fn f() {}\n"), &[]);
    let far = format!("// SAFETY: x.\n{}unsafe {{ f() }}\n", "g();\n".repeat(5));
    starts(&of(HOST, &far), &[&format!("{missing}8: `unsafe` without a reason")]);
}
