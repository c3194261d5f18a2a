//! What is asked for at a site: paths and options are found as HAProxy finds them (configuration manual, `stats uri`,
//! `monitor-uri`).

use super::stat::Filter;
use super::told::Told;
use crate::model::{Monitor, Serves, StatsPage};

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    Monitor(&'a Monitor),
    /// HAProxy's Prometheus families; with the query.
    Metrics(Option<&'a str>),
    /// evenkeel's own routes.
    Ours,
    /// The statistics; the page that they belong to, if the configuration has one.
    Statistics(Option<&'a StatsPage>, Wanted),
    /// Nothing is there.
    Nowhere,
}

/// The statistics that are asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub form: Form,
    pub filter: Filter,
    /// Whether the page stays as it is.
    pub no_refresh: bool,
    /// What became of the form that has led here.
    pub told: Option<Told>,
}

/// How they are to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Page,
    Csv,
    Typed,
    Json,
    /// What the JSON is like, which evenkeel doesn't say.
    Schema,
}

/// Where the statistics are beside evenkeel's own page, if no file says where: the places that those who watch HAProxy
/// are set up with.
const USUAL: [&str; 3] = ["/", "/stats", StatsPage::URI];

/// Longest part of a name that proxies are searched by, as in HAProxy.
const SCOPE_MAX: usize = 20;

/// What a target (path and query) is for. `is_ours` says whether evenkeel has a route for it.
pub fn place<'a>(serves: &'a Serves, target: &'a str, is_ours: bool) -> Place<'a> {
    if let Some(monitor) = serves.monitor.as_ref().filter(|monitor| monitor.uri == target) {
        return Place::Monitor(monitor);
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if serves.metrics.as_deref() == Some(path) {
        return Place::Metrics(query);
    }
    let is_ours = serves.ours && is_ours;
    if let Some(page) = &serves.page {
        return match target.strip_prefix(&page.uri) {
            Some(options) if !is_ours || begins_options(options) => Place::Statistics(Some(page), Wanted::of(options)),
            _ if is_ours => Place::Ours,
            // As HAProxy has it where a section says where its page is.
            _ => Place::Nowhere,
        };
    }
    if is_ours {
        return Place::Ours;
    }
    match USUAL.iter().find_map(|uri| usual_options(target, uri)) {
        Some(options) if serves.ours => Place::Statistics(None, Wanted::of(options)),
        // A refusal of ours says more than one of HAProxy's.
        _ if serves.ours => Place::Ours,
        _ => Place::Nowhere,
    }
}

/// Whether no longer path goes on here: the page at `/` is not what `/api/v1/status` asks for.
fn begins_options(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([';', '?', '&'])
}

/// At a usual place, nothing but options may follow.
fn usual_options<'a>(target: &'a str, uri: &str) -> Option<&'a str> {
    target.strip_prefix(uri).filter(|options| options.is_empty() || options.starts_with(';'))
}

impl Wanted {
    /// Options stand anywhere behind the URI; of two forms the later one in this list is meant, whichever comes first.
    pub fn of(options: &str) -> Self {
        const FORMS: [(&str, Form); 4] =
            [(";csv", Form::Csv), (";typed", Form::Typed), (";json", Form::Json), (";json-schema", Form::Schema)];
        let has = |option: &str| options.contains(option);
        let form = FORMS.iter().rev().find(|(option, _)| has(option)).map_or(Form::Page, |(_, form)| *form);
        let filter =
            Filter { up: has(";up"), no_maint: has(";no-maint"), containing: scope(options), ..Filter::default() };
        Self { form, filter, no_refresh: has(";norefresh"), told: Told::of(options) }
    }
}

/// The part of a name that is asked for.
fn scope(options: &str) -> Option<String> {
    const KEY: &str = "scope=";
    let value = &options[options.find(KEY)? + KEY.len()..];
    let value = value.split([';', '&']).next()?;
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let fits = !value.is_empty() && value.len() <= SCOPE_MAX && value.chars().all(is_of_a_name);
    fits.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(uri: &str) -> Serves {
        Serves { page: Some(StatsPage::at(uri)), ..Serves::default() }
    }

    fn form(serves: &Serves, target: &str) -> Option<Form> {
        match place(serves, target, false) {
            Place::Statistics(_, wanted) => Some(wanted.form),
            _ => None,
        }
    }

    // Seen to fail with the first form of the list that is found.
    #[test]
    fn options_are_found_anywhere_behind_the_uri() {
        let root = page("/");
        for (target, expected) in [
            ("/;csv", Form::Csv),
            ("/haproxy?stats;csv", Form::Csv),
            ("/x/y;up;csv;norefresh", Form::Csv),
            ("/;json;csv", Form::Json),
            ("/;typed", Form::Typed),
            ("/;json-schema", Form::Schema),
            ("/", Form::Page),
            ("/anything", Form::Page),
        ] {
            assert_eq!(form(&root, target), Some(expected), "{target}");
        }
        let stats = page("/haproxy?stats");
        assert_eq!(form(&stats, "/haproxy?stats;csv;norefresh"), Some(Form::Csv));
        assert_eq!(form(&stats, "/haproxy"), None);
        let with_ours = Serves { ours: true, ..page("/haproxy?stats") };
        assert_eq!(place(&with_ours, "/elsewhere", false), Place::Nowhere);
        assert_eq!(place(&with_ours, "/api/v1/status", true), Place::Ours);
        let Place::Statistics(_, wanted) = place(&root, "/;no-maint;csv;scope=kube&up", false) else { panic!() };
        assert!(wanted.filter.no_maint && !wanted.filter.up && !wanted.no_refresh);
        assert_eq!(wanted.filter.containing.as_deref(), Some("kube"));
        for odd in ["scope=", "scope=<b>", "scope=a-very-long-name-indeed"] {
            assert_eq!(scope(odd), None, "{odd}");
        }
    }

    #[test]
    fn without_a_page_of_its_own_the_statistics_are_where_watchers_look() {
        let ours = Serves::ours();
        for target in ["/;csv", "/stats;csv", "/haproxy?stats;csv", "/haproxy?stats;csv;norefresh"] {
            assert_eq!(form(&ours, target), Some(Form::Csv), "{target}");
        }
        assert_eq!(form(&ours, "/haproxy?stats"), Some(Form::Page));
        for target in ["/statsx;csv", "/x;csv", "/haproxy;csv"] {
            assert_eq!(place(&ours, target, false), Place::Ours, "{target}");
        }
        assert_eq!(place(&Serves::default(), "/;csv", false), Place::Nowhere);
    }

    // Seen to fail with a monitor that is found by its path alone.
    #[test]
    fn the_first_that_is_meant_answers() {
        let serves = Serves {
            monitor: Some(Monitor { uri: "/healthz".into(), fail: Vec::new() }),
            metrics: Some("/metrics".into()),
            ours: true,
            ..page("/")
        };
        assert!(matches!(place(&serves, "/healthz", false), Place::Monitor(_)));
        assert!(matches!(place(&serves, "/healthz?x", false), Place::Statistics(..)));
        assert_eq!(place(&serves, "/metrics?scope=server", true), Place::Metrics(Some("scope=server")));
        assert_eq!(place(&serves, "/api/v1/status", true), Place::Ours);
        assert!(matches!(place(&serves, "/", true), Place::Statistics(..)), "the page as the section wants it");
    }
}
