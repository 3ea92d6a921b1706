//! What is derived, on small webs of results, and the law on random ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use tidemill_cache::Digest;

use super::derived::{Listings, Node, Read, derived};

fn content(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// A result that read these contents and had these outputs; `@` before a content: it lay where a file of the project lies.
fn node(place: usize, reads: &[&str], outputs: &[&str]) -> Node {
    let read = |name: &&str| match name.strip_prefix('@') {
        Some(name) => Read { digest: content(name), is_of_project: true },
        None => Read { digest: content(name), is_of_project: false },
    };
    Node {
        outputs: outputs.iter().map(|name| content(name)).collect(),
        reads: reads.iter().map(read).collect(),
        finished: Timestamp::from_second(i64::try_from(place).unwrap()).unwrap(),
        stands: true,
    }
}

/// A web of results, each made after the one before it.
fn web(results: &[(&[&str], &[&str])]) -> Vec<Node> {
    results.iter().enumerate().map(|(place, (reads, outputs))| node(place, reads, outputs)).collect()
}

fn of(nodes: &[Node], named: &[usize]) -> Vec<usize> {
    derived(nodes, &Listings::new(), &named.iter().copied().collect()).derived.into_keys().collect()
}

#[test]
fn what_follows_is_derived_and_nothing_else() {
    let nodes = web(&[
        (&["@raw"], &["table"]),
        (&["table"], &["model"]),
        (&["model", "table"], &["scores"]),
        (&["@other"], &["else"]),
        (&["table", "else"], &["plot"]),
    ]);
    assert_eq!(of(&nodes, &[0]), [1, 2, 4]);
    assert_eq!(of(&nodes, &[1]), [2]);
    assert_eq!(of(&nodes, &[3]), [4]);
    assert_eq!(of(&nodes, &[2]), [0; 0]);
    let bad = derived(&nodes, &Listings::new(), &BTreeSet::from([1]));
    assert_eq!(bad.derived[&2], (content("model"), 1));
    assert_eq!(
        bad.contents.keys().copied().collect::<BTreeSet<_>>(),
        [content("model"), content("scores")].into()
    );
}

#[test]
fn what_a_good_result_made_too_is_good() {
    let nodes = web(&[(&["@a"], &["model"]), (&["@b"], &["model"]), (&["model"], &["scores"])]);
    assert_eq!(of(&nodes, &[0]), [0; 0]);
    assert_eq!(of(&nodes, &[0, 1]), [2]);
}

#[test]
fn who_passes_content_on_is_no_witness_for_it() {
    // An evaluation gives the best of its candidates as an output of its own.
    let nodes =
        web(&[(&["@raw"], &["model"]), (&["model"], &["model", "report"]), (&["model"], &["served"])]);
    assert_eq!(of(&nodes, &[0]), [1, 2]);
    // If it was the evaluation that was bad, the model still is what the training made.
    assert_eq!(of(&nodes, &[1]), [0; 0]);
}

#[test]
fn two_that_have_only_each_others_word_are_no_witnesses() {
    // Packed and unpacked again: both results make what the other one reads.
    let nodes = web(&[
        (&["@raw"], &["data"]),
        (&["data"], &["packed"]),
        (&["packed"], &["data"]),
        (&["data"], &["model"]),
    ]);
    assert_eq!(of(&nodes, &[0]), [1, 2, 3]);
    // The unpacking alone is bad: the data are what the first one made.
    assert_eq!(of(&nodes, &[2]), [0; 0]);
}

#[test]
fn a_file_of_the_project_is_the_users_if_it_was_there_before() {
    // The user's own table, read by the first result and written again by the second.
    let nodes = web(&[(&["@raw"], &["columns"]), (&["columns"], &["raw"]), (&["@raw"], &["later"])]);
    assert_eq!(of(&nodes, &[1]), [2], "what was read before the bad result was made did not come from it");
}

#[test]
fn a_published_output_that_another_pipeline_reads_is_followed() {
    let nodes = web(&[(&["@raw"], &["model"]), (&["@model"], &["scores"])]);
    assert_eq!(of(&nodes, &[0]), [1]);
}

#[test]
fn an_empty_file_of_the_project_says_nothing_and_an_empty_output_does() {
    let nodes = web(&[(&["@raw"], &[""]), (&["@"], &["other"]), (&[""], &["count"])]);
    assert_eq!(of(&nodes, &[0]), [2]);
}

#[test]
fn content_in_a_folder_is_followed() {
    let nodes = web(&[(&["@a"], &["one"]), (&["@b"], &["two"]), (&["all"], &["best"])]);
    let listings = Listings::from([(content("all"), Arc::from([content("one"), content("two")]))]);
    let bad = derived(&nodes, &listings, &BTreeSet::from([1]));
    assert_eq!(bad.derived, BTreeMap::from([(2, (content("two"), 1))]));
}

#[test]
fn what_was_withdrawn_before_is_no_witness_and_no_reason() {
    let mut nodes = web(&[
        (&["@a"], &["model"]),
        (&["@b"], &["model"]),
        (&["model"], &["scores"]),
        (&["scores"], &["plot"]),
    ]);
    nodes[1].stands = false;
    assert_eq!(of(&nodes, &[0]), [2, 3]);
    // The last one rests on what was withdrawn for another reason; that is not the fault of the first.
    let mut nodes = web(&[(&["@a"], &["x"]), (&["@b"], &["x"]), (&["x"], &["y"]), (&["y"], &["z"])]);
    nodes[2].stands = false;
    assert_eq!(of(&nodes, &[0]), [0; 0]);
}

/// Random webs: each result reads some of a few contents and makes some.
fn random() -> impl Strategy<Value = (Vec<Node>, BTreeSet<usize>)> {
    let few = || prop::collection::vec(0_u8..8, 0..3);
    let result = (few(), few(), any::<bool>());
    prop::collection::vec(result, 1..10).prop_flat_map(|results| {
        let count = results.len();
        let nodes: Vec<Node> = (results.iter().enumerate())
            .map(|(place, (reads, outputs, stands))| {
                let name = |content: &u8| content.to_string();
                let (reads, outputs): (Vec<String>, Vec<String>) =
                    (reads.iter().map(name).collect(), outputs.iter().map(name).collect());
                let [reads, outputs] =
                    [&reads, &outputs].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
                Node { stands: *stands, ..node(place, &reads, &outputs) }
            })
            .collect();
        (Just(nodes), prop::collection::btree_set(0..count, 1..=count.min(3)))
    })
}

proptest! {
    /// What is left standing reads no content that only withdrawn results vouch for, and to say it twice adds nothing.
    #[test]
    fn what_is_left_rests_on_nothing_bad((nodes, named) in random()) {
        let bad = derived(&nodes, &Listings::new(), &named);
        let withdrawn: BTreeSet<usize> = bad.derived.keys().chain(&named).copied().collect();
        for (place, node) in nodes.iter().enumerate().filter(|(place, _)| !withdrawn.contains(place)) {
            for read in &node.reads {
                prop_assert!(!bad.contents.contains_key(&read.digest), "result {place} reads bad content");
            }
        }
        for (content, makers) in &bad.contents {
            let made = |maker: &usize| withdrawn.contains(maker) && nodes[*maker].outputs.contains(content);
            prop_assert!(!makers.is_empty() && makers.iter().all(made));
        }
        let mut after = nodes.clone();
        withdrawn.iter().for_each(|place| after[*place].stands = false);
        let again = derived(&after, &Listings::new(), &named);
        prop_assert_eq!(again, bad);
    }

    /// Nothing is withdrawn without a chain of content that leads to what was named.
    #[test]
    fn what_is_withdrawn_has_a_reason((nodes, named) in random()) {
        let bad = derived(&nodes, &Listings::new(), &named);
        for (place, (content, maker)) in &bad.derived {
            prop_assert!(nodes[*place].reads.iter().any(|read| read.digest == *content));
            prop_assert!(nodes[*maker].outputs.contains(content));
            prop_assert!(named.contains(maker) || bad.derived.contains_key(maker));
        }
        if nodes.iter().all(|node| node.reads.is_empty()) {
            prop_assert!(bad.derived.is_empty());
        }
    }
}
