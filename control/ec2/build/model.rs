//! Reads the service model (`model/*.json`, see `model/README.md` for its encoding) and the lists beside it,
//! and finds the shapes that the chosen actions need. A mistake in the model stops the build with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::table::{self, Table};

/// One action of the model.
pub struct ActionDef {
    pub name: String,
    pub area: String,
    pub service: &'static str,
    pub input: String,
    pub output: Option<String>,
    pub filters: Vec<(String, Vec<String>)>,
}

/// One member of a structure.
pub struct Member {
    pub name: String,
    pub shape: String,
    /// Name as a request parameter.
    pub query: String,
    /// Name as an XML element of a response.
    pub xml: String,
    pub required: bool,
    pub idempotency_token: bool,
}

/// Page bounds of an action whose model gives none: EC2's API reference has these for nearly all of them.
const USUAL_PAGE: (i64, i64) = (5, 1000);

impl Member {
    pub fn is_page_limit(&self) -> bool {
        self.name == "MaxResults"
    }
}

/// What a shape is.
pub enum Shape {
    Struct(Vec<Member>),
    List {
        of: String,
        min: Option<i64>,
        max: Option<i64>,
    },
    Enum(Vec<String>),
    /// `string`, `integer`, `long`, `double`, `float`, `boolean`, `timestamp` or `blob`, with bounds on value or length.
    Scalar {
        kind: String,
        min: Option<i64>,
        max: Option<i64>,
    },
}

/// The whole model.
pub struct Model {
    pub actions: BTreeMap<String, ActionDef>,
    pub shapes: BTreeMap<String, Shape>,
    /// Actions to generate, sorted.
    pub chosen: Vec<String>,
    /// EC2 actions outside the table, known by name only.
    pub others: Vec<String>,
    pub absent_when_empty: BTreeSet<String>,
    pub open_enums: BTreeSet<String>,
}

/// Structures that occur in requests, and in responses.
pub struct Reach {
    pub requests: BTreeSet<String>,
    pub responses: BTreeSet<String>,
}

const SCALARS: [&str; 8] = ["string", "integer", "long", "double", "float", "boolean", "timestamp", "blob"];

impl Model {
    pub fn load(dir: &Path) -> Model {
        let mut model = Model {
            actions: BTreeMap::new(),
            shapes: BTreeMap::new(),
            chosen: names_in(&dir.join("actions.txt")),
            others: names_in(&dir.join("other-actions.txt")),
            absent_when_empty: names_in(&dir.join("absent-when-empty.txt")).into_iter().collect(),
            open_enums: names_in(&dir.join("open-enums.txt")).into_iter().collect(),
        };
        model.add_table(&dir.join("ec2.json"), "ec2");
        model.add_table(&dir.join("sts.json"), "sts");
        model.chosen.extend(model.actions.values().filter(|a| a.service == "sts").map(|a| a.name.clone()));
        model.chosen.sort();
        for scalar in SCALARS {
            let shape = Shape::Scalar { kind: scalar.to_owned(), min: None, max: None };
            model.shapes.insert(scalar.to_owned(), shape);
        }
        model.check();
        model
    }

    fn add_table(&mut self, path: &Path, service: &'static str) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let table: Table = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (name, def) in table.actions {
            self.actions.insert(name.clone(), action(name, def, service));
        }
        for (name, def) in table.shapes {
            let shape = shape(&name, def);
            self.shapes.insert(name, shape);
        }
    }

    fn check(&self) {
        for name in &self.chosen {
            assert!(self.actions.contains_key(name), "actions.txt: {name} is not in the table");
        }
        for name in &self.open_enums {
            assert!(matches!(self.shapes.get(name), Some(Shape::Enum(_))), "open-enums.txt: {name} is not an enum");
        }
        for entry in &self.absent_when_empty {
            let known = entry.split_once('.').is_some_and(|(shape, member)| {
                matches!(self.shapes.get(shape), Some(Shape::Struct(members)) if members.iter().any(|m| m.name == member))
            });
            assert!(known, "absent-when-empty.txt: {entry} is not a member");
        }
    }

    /// The chosen actions, in order of name.
    pub fn chosen_actions(&self) -> impl Iterator<Item = &ActionDef> {
        self.chosen.iter().map(|name| &self.actions[name])
    }

    pub fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or_else(|| panic!("shape {name} is missing"))
    }

    pub fn members(&self, name: &str) -> &[Member] {
        match self.shape(name) {
            Shape::Struct(members) => members,
            _ => panic!("shape {name} is not a structure"),
        }
    }

    /// The least and the most that a page limit may be.
    pub fn page_bounds(&self, limit: &Member) -> (i64, i64) {
        match self.shape(&limit.shape) {
            Shape::Scalar { min, max, .. } => (min.unwrap_or(USUAL_PAGE.0), max.unwrap_or(USUAL_PAGE.1)),
            _ => panic!("{} is not a number", limit.shape),
        }
    }

    /// The structures that the chosen actions can meet. No shape of the model contains itself (a cycle would
    /// need a `Box` in the generated types, and stops the build here).
    pub fn reachable(&self) -> Reach {
        let mut reach = Reach { requests: BTreeSet::new(), responses: BTreeSet::new() };
        for action in self.chosen_actions() {
            self.walk(&action.input, &mut reach.requests, &mut Vec::new());
            if let Some(output) = &action.output {
                self.walk(output, &mut reach.responses, &mut Vec::new());
            }
        }
        reach
    }

    fn walk<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<String>, path: &mut Vec<&'a str>) {
        assert!(!path.contains(&name), "shape {name} contains itself");
        match self.shape(name) {
            Shape::Struct(members) => {
                if seen.insert(name.to_owned()) {
                    path.push(name);
                    members.iter().for_each(|m| self.walk(&m.shape, seen, path));
                    path.pop();
                }
            }
            Shape::List { of, .. } => {
                path.push(name);
                self.walk(of, seen, path);
                path.pop();
            }
            Shape::Enum(_) | Shape::Scalar { .. } => {}
        }
    }
}

fn names_in(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect()
}

fn action(name: String, def: table::Action, service: &'static str) -> ActionDef {
    let mut filters: Vec<_> = def.filters.into_iter().map(table::Filter::split).collect();
    // The table has both spellings for the filter by a tag's value.
    filters.iter_mut().filter(|(name, _)| name == "tag:<key>").for_each(|(name, _)| *name = "tag".to_owned());
    ActionDef { name, area: def.area, service, input: def.input, output: def.output, filters }
}

fn shape(name: &str, def: table::Shape) -> Shape {
    let (min, max) = (def.min, def.max);
    if let Some(members) = def.members {
        return Shape::Struct(members.0.into_iter().map(|(name, m)| member(name, m)).collect());
    }
    if let Some(of) = def.list {
        return Shape::List { of, min, max };
    }
    if let Some(values) = def.values {
        return Shape::Enum(values);
    }
    let kind = SCALARS.iter().find(|kind| def.rest.contains_key(**kind));
    let kind = kind.unwrap_or_else(|| panic!("shape {name} is of no known kind")).to_string();
    Shape::Scalar { kind, min, max }
}

fn member(name: String, def: table::Member) -> Member {
    Member {
        shape: def.shape,
        query: def.query.unwrap_or_else(|| name.clone()),
        xml: def.xml.unwrap_or_else(|| name.clone()),
        required: def.required == 1,
        idempotency_token: def.idempotency_token == 1,
        name,
    }
}
