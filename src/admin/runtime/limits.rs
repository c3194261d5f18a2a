//! `set maxconn`.

use super::command::Asked;
use super::target;
use crate::admin::{Action, Tuning};

pub async fn process(asked: &Asked<'_>) -> String {
    let Ok(max) = asked.word(3).parse::<u32>() else { return "Expects an integer value.\n".to_owned() };
    // Each session takes two descriptors.
    let most = (asked.views.snapshot)().process.max_descriptors / 2;
    match max == 0 || u64::from(max) > most {
        true => "Value out of range.\n".to_owned(),
        false => asked.act(Action::Tune(Tuning::ProcessSessions(max))).await,
    }
}

pub async fn frontend(asked: &Asked<'_>) -> String {
    let frontend = match super::switches::frontend(asked.word(3), asked) {
        Ok(frontend) => frontend.name.to_string(),
        Err(complaint) => return complaint.to_owned(),
    };
    match asked.word(4).parse::<i64>().map(u32::try_from) {
        Err(_) => "Integer value expected.\n".to_owned(),
        Ok(Err(_)) => "Value out of range.\n".to_owned(),
        Ok(Ok(max)) => asked.act(Action::Tune(Tuning::FrontendSessions(frontend, limit(max)))).await,
    }
}

pub async fn server(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let server = match target::server(asked.word(3), &config) {
        Ok(found) => found.target(),
        Err(complaint) => return complaint.to_owned(),
    };
    match read(asked.word(4)) {
        Ok(max) => asked.act(Action::Tune(Tuning::ServerSessions(server, limit(max)))).await,
        Err(complaint) => complaint.to_owned(),
    }
}

/// Nothing is no limit.
fn limit(max: u32) -> Option<u32> {
    (max > 0).then_some(max)
}

fn read(text: &str) -> Result<u32, &'static str> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match (text, text[..digits].parse()) {
        ("", _) => Err("Require <maxconn>.\n"),
        (_, Ok(max)) if digits == text.len() => Ok(max),
        (_, Ok(_)) => Err("Trailing garbage in maxconn string\n"),
        (_, Err(_)) => Err("maxconn string empty or preceded by garbage\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_nothing_else() {
        assert_eq!((read("0"), read("17")), (Ok(0), Ok(17)));
        assert!(read("").unwrap_err().starts_with("Require"));
        assert!(read("x").unwrap_err().starts_with("maxconn string empty"));
        assert!(read("5x").unwrap_err().starts_with("Trailing"));
    }
}
