//! What a file leaves open, and what fills it: presets, `[defaults]`, built-in values, and show.
