//! `set LINK rate=… delay=… loss=…`: changes as people write them.
//!
//! Decides names and units, which are those of the scenario language.

use tq_scenario::{Loss, Speed, Time};

use crate::control::Wanted;

#[cfg(test)]
mod tests;

/// One `name=value`.
pub fn parse(text: &str) -> Result<Wanted, String> {
    const ALLOWED: &str = "write rate=10Mbit/s or rate=unlimited, delay=20ms (one way), loss=1%";
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no `=`; {ALLOWED}"))?;
    let wrong = |error: tq_scenario::UnitError| format!("{name}: {error}");
    Ok(match name {
        "rate" if value == "unlimited" => Wanted::Rate(None),
        "rate" => Wanted::Rate(Some(value.parse::<Speed>().map_err(wrong)?.0)),
        "delay" => {
            let delay = value.parse::<Time>().map_err(wrong)?.0;
            Wanted::Delay(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
        }
        "loss" => Wanted::Loss(value.parse::<Loss>().map_err(wrong)?.0),
        _ => return Err(format!("{name:?} cannot be set; {ALLOWED}")),
    })
}
