//! The configuration from the outside: files in, a `Config` or a report out.

use std::path::Path;

use evenkeel::config;

/// The configurations that come with the program.
const SHIPPED: [&str; 2] = ["config/evenkeel.toml", "config/minimal.toml"];

#[test]
fn what_show_prints_loads_to_an_equal_configuration() {
    for file in SHIPPED {
        let config = config::load(Path::new(file)).unwrap();
        let shown = config::show(Path::new(file)).unwrap();
        assert_eq!(config::parse(&shown, "shown.toml").unwrap(), config, "{file} shows as\n{shown}");
    }
}
