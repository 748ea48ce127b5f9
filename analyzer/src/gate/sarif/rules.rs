//! The rules as SARIF describes them.

use crate::analysis::Rule;
use serde::Serialize;

/// A rule (SARIF 2.1.0, 3.49: reportingDescriptor).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleObject {
    id: &'static str,
    name: &'static str,
    short_description: Message,
    full_description: Message,
    help: Message,
    help_uri: String,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Message {
    text: &'static str,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Properties {
    tags: [String; 2],
    precision: &'static str,
    #[serde(rename = "problem.severity")]
    severity: &'static str,
}

/// What is said of a rule.
struct Text {
    /// For programs: a name in one word.
    name: &'static str,
    short: &'static str,
    full: &'static str,
    help: &'static str,
    /// Its weakness in the Common Weakness Enumeration.
    cwe: u16,
    /// How often it is right, in code scanning's words.
    precision: &'static str,
}

impl RuleObject {
    pub(super) fn new(rule: Rule) -> RuleObject {
        let Text { name, short, full, help, cwe, precision } = text(rule);
        let level = rule.severity().name();
        RuleObject {
            id: rule.name(),
            name,
            short_description: Message { text: short },
            full_description: Message { text: full },
            help: Message { text: help },
            help_uri: format!("https://cwe.mitre.org/data/definitions/{cwe}.html"),
            default_configuration: Configuration { level },
            properties: Properties {
                tags: ["memory".to_owned(), format!("external/cwe/cwe-{cwe}")],
                precision,
                severity: if level == "note" { "recommendation" } else { level },
            },
        }
    }
}

fn text(rule: Rule) -> Text {
    match rule {
        Rule::Definite => Text {
            name: "DefinitelyLost",
            short: "Memory is definitely lost",
            full: "When the process ended, nothing pointed to these blocks any more, so that they could not have been freed.",
            help: "Free the block where its last pointer goes: at every way out of the function that owns it, error paths included.",
            cwe: 401,
            precision: "very-high",
        },
        Rule::Indirect => Text {
            name: "IndirectlyLost",
            short: "Memory is lost with other blocks",
            full: "Only blocks that are lost themselves pointed to these when the process ended.",
            help: "Look for the definite finding that these blocks hang on. Once that is freed with all it owns, this goes too.",
            cwe: 401,
            precision: "very-high",
        },
        Rule::Possible => Text {
            name: "PossiblyLost",
            short: "Memory is possibly lost",
            full: "Only pointers to the inside of these blocks were left when the process ended, none to their beginning.",
            help: "Either the program keeps such pointers on purpose, or a number that looks like one is all that is left.",
            cwe: 401,
            precision: "medium",
        },
        Rule::Reachable => Text {
            name: "StillReachable",
            short: "Memory is still reachable at the end",
            full: "The program could have freed these blocks when it ended, and did not.",
            help: "Memory that is kept until the end on purpose is no leak. Free it if its amount grows with what the program is given.",
            cwe: 401,
            precision: "high",
        },
        Rule::Leak => Text {
            name: "LeakOverTime",
            short: "This stack leaks over time",
            full: "All along the run this stack allocated blocks that were not freed at the age at which others are.",
            help: "Compare the way on which such a block is freed with the one on which it is not: the report names the places that free.",
            cwe: 401,
            precision: "high",
        },
        Rule::Growing => Text {
            name: "GrowthOverTime",
            short: "This stack holds ever more memory",
            full: "What this stack holds rose all along the run, though the program can still reach it: a cache without a limit, or a queue.",
            help: "Give what holds these blocks a limit, or a way by which they leave; the report names the holder where it is known.",
            cwe: 770,
            precision: "medium",
        },
        Rule::WrongFree => Text {
            name: "WrongFree",
            short: "Memory is freed wrongly",
            full: "A block was freed twice, by the function of another family or with another size, or what was freed is no block.",
            help: "Free each block once, by the function that belongs to the one that allocated it: malloc and free, new and delete, new[] and delete[].",
            cwe: 763,
            precision: "very-high",
        },
    }
}
