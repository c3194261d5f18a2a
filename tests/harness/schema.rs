//! Whether a document is as docs/openapi.json says: the words of JSON Schema that stand there, and no others.

use serde_json::Value;

/// The description that is committed.
pub fn description() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Panics unless `document` fits the schema of this name.
pub fn fits(document: &Value, name: &str) {
    let all = description();
    let schema = &all["components"]["schemas"][name];
    assert!(schema.is_object(), "there is no schema {name}");
    if let Err(wrong) = check(document, schema, &all) {
        panic!("not a {name}: {wrong} in\n{document:#}");
    }
}

/// What does not fit, with the path to it.
pub fn check(value: &Value, schema: &Value, all: &Value) -> Result<(), String> {
    for (word, rule) in schema.as_object().ok_or("a schema that is no object")? {
        match word.as_str() {
            "$ref" => check(value, resolved(rule, all)?, all)?,
            "type" => is_of_type(value, rule)?,
            "enum" => is_one_of(value, rule)?,
            "oneOf" => is_any(value, rule, all)?,
            "properties" => properties(value, schema, all)?,
            "items" => items(value, rule, all)?,
            "minimum" if value.is_number() && value.as_f64() < rule.as_f64() => {
                return Err(format!("{value} < {rule}"));
            }
            "maximum" if value.is_number() && value.as_f64() > rule.as_f64() => {
                return Err(format!("{value} > {rule}"));
            }
            "required" | "additionalProperties" | "minimum" | "maximum" => {}
            // Said for people, or too much for this.
            "description" | "format" | "pattern" | "minItems" => {}
            other => return Err(format!("a word that this does not know: {other}")),
        }
    }
    Ok(())
}

fn resolved<'a>(reference: &Value, all: &'a Value) -> Result<&'a Value, String> {
    let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| all.pointer(pointer)).ok_or(format!("{reference} leads nowhere"))
}

fn is_of_type(value: &Value, rule: &Value) -> Result<(), String> {
    let is = |name: &Value| match name.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => false,
    };
    let fits = rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is));
    if fits { Ok(()) } else { Err(format!("{value} is no {rule}")) }
}

fn is_one_of(value: &Value, rule: &Value) -> Result<(), String> {
    let known = rule.as_array().ok_or("an enum that is no list")?;
    if known.contains(value) { Ok(()) } else { Err(format!("{value} is not one of {rule}")) }
}

fn is_any(value: &Value, rule: &Value, all: &Value) -> Result<(), String> {
    let schemas = rule.as_array().ok_or("a oneOf that is no list")?;
    let wrong: Vec<String> = schemas.iter().filter_map(|schema| check(value, schema, all).err()).collect();
    if wrong.len() + 1 == schemas.len() { Ok(()) } else { Err(wrong.join(", and ")) }
}

/// Every field is described, and every one that must be there is.
fn properties(value: &Value, schema: &Value, all: &Value) -> Result<(), String> {
    let Some(fields) = value.as_object() else { return Ok(()) };
    for (name, field) in fields {
        let described = &schema["properties"][name];
        if described.is_null() {
            return Err(format!("`{name}` is not described"));
        }
        check(field, described, all).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let missing: Vec<_> = required.filter(|name| !fields.contains_key(name.as_str().unwrap_or(""))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} is missing")) }
}

fn items(value: &Value, rule: &Value, all: &Value) -> Result<(), String> {
    let mut items = value.as_array().into_iter().flatten().enumerate();
    items.try_for_each(|(place, item)| check(item, rule, all).map_err(|wrong| format!("{place}: {wrong}")))
}
