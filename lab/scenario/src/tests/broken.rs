//! Broken files and every word that is said about them: `broken.txt` has both.

use crate::parse;

const CASES: &str = include_str!("broken.txt");

/// Name, text and what is said.
fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    let cases = CASES.split("=== ").skip(1).filter_map(|case| {
        let (name, rest) = case.split_once('\n')?;
        let (text, says) = rest.split_once("--- says\n")?;
        Some((name, text, says.trim_end()))
    });
    cases.collect()
}

#[test]
fn every_broken_file_is_refused_with_these_words() {
    let mut said = String::new();
    for (name, text, _) in cases() {
        let errors = parse("x.toml", text).expect_err(name);
        said += &format!("=== {name}\n{text}--- says\n{errors}\n");
    }
    let (said, wanted): (Vec<&str>, Vec<&str>) = (said.lines().collect(), CASES.lines().collect());
    for (line, (said, wanted)) in said.iter().zip(&wanted).enumerate() {
        assert_eq!(said, wanted, "broken.txt:{}", line + 1);
    }
    assert_eq!(said.len(), wanted.len());
}

#[test]
fn there_are_many_broken_files_and_each_problem_has_a_place() {
    assert!(cases().len() >= 40);
    for (name, text, _) in cases() {
        let errors = parse("x.toml", text).expect_err(name);
        for problem in &errors.problems {
            assert!(problem.line >= 1 && problem.column >= 1, "{name}: {problem}");
            assert!(problem.line <= text.lines().count().max(1) + 1, "{name}: {problem}");
        }
        assert!(errors.problems.is_sorted_by_key(|problem| (problem.line, problem.column)), "{name}");
    }
}

#[test]
fn problems_name_table_and_field() {
    let text = "name = \"x\"\ntime = \"1s\"\n[[link]]\nname = \"wan\"\nrate = 5\ndelay = \"1ms\"\n\
                [[traffic]]\nkind = \"bulk\"\nbytes = \"1B\"\n";
    let errors = parse("x.toml", text).expect_err("a bare number");
    let [problem] = &errors.problems[..] else { panic!("{errors}") };
    assert_eq!((problem.line, problem.column), (5, 8));
    assert_eq!((problem.table.as_str(), problem.field.as_str()), ("link \"wan\"", "rate"));
}
