//! Licence expressions, as found in the wild and malformed.

use super::{SpdxError, satisfied};

fn fine(expression: &str) -> Result<bool, SpdxError> {
    satisfied(expression, &|licence, exception| {
        ["MIT", "ISC", "Apache-2.0"].contains(&licence) && exception.is_none_or(|e| e == "LLVM-exception")
    })
}

#[test]
fn a_single_licence_is_accepted_or_not() {
    assert_eq!(fine("MIT"), Ok(true));
    assert_eq!(fine(" MIT "), Ok(true));
    assert_eq!(fine("GPL-3.0-only"), Ok(false));
}

#[test]
fn or_needs_one_side_and_and_both() {
    assert_eq!(fine("GPL-2.0 OR MIT"), Ok(true));
    assert_eq!(fine("MIT/GPL-2.0"), Ok(true));
    assert_eq!(fine("GPL-2.0 OR MPL-2.0"), Ok(false));
    assert_eq!(fine("MIT AND ISC"), Ok(true));
    assert_eq!(fine("MIT AND MPL-2.0"), Ok(false));
}

#[test]
fn and_binds_stronger_than_or_unless_bracketed() {
    assert_eq!(fine("MIT OR ISC AND GPL-2.0"), Ok(true));
    assert_eq!(fine("GPL-2.0 AND ISC OR MIT"), Ok(true));
    assert_eq!(fine("(MIT OR ISC) AND GPL-2.0"), Ok(false));
    assert_eq!(fine("((MIT OR GPL-2.0) AND (ISC))"), Ok(true));
    assert_eq!(fine("ISC AND (Apache-2.0 OR ISC) AND MIT AND (GPL-2.0 OR MIT)"), Ok(true));
}

#[test]
fn an_exception_belongs_to_its_licence() {
    assert_eq!(fine("Apache-2.0 WITH LLVM-exception"), Ok(true));
    assert_eq!(fine("Apache-2.0 WITH Odd-exception"), Ok(false));
    assert_eq!(fine("GPL-2.0 WITH LLVM-exception OR MIT"), Ok(true));
}

#[test]
fn later_versions_and_lower_case_operators_are_read() {
    assert_eq!(fine("Apache-2.0+"), Ok(true));
    assert_eq!(fine("gpl-2.0 or MIT"), Ok(true));
}

#[test]
fn malformed_expressions_are_refused_with_the_word() {
    assert_eq!(fine(""), Err(SpdxError::End));
    assert_eq!(fine("MIT OR"), Err(SpdxError::End));
    assert_eq!(fine("(MIT"), Err(SpdxError::End));
    assert_eq!(fine("MIT ISC"), Err(SpdxError::Unexpected("ISC".to_owned())));
    assert_eq!(fine("MIT)"), Err(SpdxError::Unexpected(")".to_owned())));
    assert_eq!(fine("OR MIT"), Err(SpdxError::Unexpected("OR".to_owned())));
    assert_eq!(fine("MIT WITH )"), Err(SpdxError::Unexpected(")".to_owned())));
}
