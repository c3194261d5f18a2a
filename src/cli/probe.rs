//! `evenkeel probe`: one probe for a person at a terminal.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use clap::Args;

use super::{Exit, fail, print_all, tell_line};
use crate::check::{self, Report, Target};
use crate::clock;
use crate::config;
use crate::event::{Certificate, Readiness};
use crate::model::Credential;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// host:port for a TLS handshake, https://host[:port]/path for a GET, tcp://host:port for a connection alone;
    /// kube-apiserver://host[:port], konnectivity://host[:port] or k0s-join://host[:port] for what these services answer
    target: Target,
    /// A file with a bearer token, to be shown to a kube-apiserver
    #[arg(long, value_name = "FILE", conflicts_with = "client_certificate")]
    token_file: Option<PathBuf>,
    /// A client certificate, PEM, to be shown to a kube-apiserver
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Longest time for the whole probe, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    timeout: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0.001 to 600".to_owned()),
    }
}

pub(super) fn run(options: &Options) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let credential = match options.credential() {
        Ok(credential) => credential,
        Err(error) => return refuse(&error),
    };
    if credential.is_some() && !options.target.takes_credential() {
        return refuse(&anyhow!("only a target such as kube-apiserver://host:port is told who asks"));
    }
    let limit = Duration::from_secs_f64(options.timeout);
    match runtime.block_on(check::probe_once(&options.target, credential, limit)) {
        Ok(report) => tell(&options.target, &report),
        Err(error) => fail(&error),
    }
}

fn refuse(error: &anyhow::Error) -> Exit {
    tell_line(&format!("error: {error}"));
    Exit::Refused
}

impl Options {
    fn credential(&self) -> anyhow::Result<Option<Credential>> {
        if let Some(file) = &self.token_file {
            let token = config::token(file);
            let token = token.map_err(|reason| anyhow!("the token file {} can't be used: {reason}", file.display()))?;
            return Ok(Some(Credential::Token(token)));
        }
        match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => Ok(Some(Credential::Certificate(config::identity(certificate, key)?))),
            _ => Ok(None),
        }
    }
}

fn tell(target: &Target, report: &Report) -> Exit {
    let (word, exit) = match report.verdict.state {
        Readiness::Ready if report.verdict.evidence.remark.is_some() => ("alive".to_owned(), Exit::Done),
        Readiness::Ready => ("ready".to_owned(), Exit::Done),
        Readiness::Draining => ("draining".to_owned(), Exit::Failed),
        Readiness::Down(cause) => (format!("down ({})", cause.words()), Exit::Failed),
    };
    let mut text = format!("{target} is {word}: {}\n", report.verdict.evidence.detail);
    for (name, value) in facts(report) {
        text += &format!("  {name:<12} {value}\n");
    }
    match print_all(text.as_bytes()) {
        Exit::Done => exit,
        failed => failed,
    }
}

/// What was seen, beside the verdict.
fn facts(Report { address, kind, verdict, tls }: &Report) -> Vec<(&'static str, String)> {
    let evidence = &verdict.evidence;
    let milliseconds = evidence.duration.as_secs_f64() * 1e3;
    let mut facts = vec![
        ("address", address.to_string()),
        ("probe", format!("{kind}, {} after {milliseconds:.1} ms", evidence.status.name())),
    ];
    if let Some(remark) = evidence.remark {
        facts.push(("what to do", remark.advice().to_owned()));
    }
    if let Some(tls) = tls {
        facts.push(("TLS", format!("{}, ALPN {}", tls.version, tls.alpn.as_deref().unwrap_or("none"))));
    }
    if let Some(Certificate { subject, issuer, not_after, .. }) = &evidence.certificate {
        facts.push(("certificate", subject.clone()));
        facts.push(("issued by", issuer.clone()));
        facts.push(("valid until", until(*not_after)));
    }
    facts
}

fn until(time: SystemTime) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let date = time::OffsetDateTime::from(time);
    let date = date.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    match time.duration_since(clock::wall()) {
        Ok(left) => format!("{date} ({} days left)", left.as_secs() / DAY),
        Err(past) => format!("{date} (expired {} days ago)", past.duration().as_secs() / DAY),
    }
}
