//! Values are quoted for the shell: none can inject a command, and every one arrives as it is.

use crate::support::Project;

const WICKED: &[&str] = &[
    "; touch OUT/pwned",
    "$(touch OUT/pwned)",
    "`touch OUT/pwned`",
    "' ; touch OUT/pwned ; '",
    "\" ; touch OUT/pwned ; \"",
    "a\nb\n\ntouch OUT/pwned",
    "|| touch OUT/pwned",
    "& touch OUT/pwned &",
    "> OUT/pwned",
    "--help",
    "*",
    "~",
    "$HOME ${inputs.a} $${x}",
    "\\",
    "!!",
    "a  b\tc ",
    "",
    "ü 雪 🦀",
];

#[test]
fn in_a_command() {
    let project = Project::with(
        r#"
        [params]
        value = "tame"

        [steps.say]
        run = "printf '%s' ${params.value} > ${outputs.text}"
        outputs.text = { path = "text", publish = "text" }
        "#,
    );
    for value in WICKED {
        let value = value.replace("OUT", project.outside("").to_str().unwrap());
        let values = serde_json::json!({ "value": value });
        project.file("values.json", values.to_string());
        project.run(&["--params", "values.json"]).ok();
        assert_eq!(project.read("text"), value);
        assert!(!project.outside("pwned").exists(), "{value:?} injected a command");
    }
}

#[test]
fn in_a_list() {
    let project = Project::with(
        r#"
        [params]
        value = "tame"

        [steps.say]
        run = ["sh", "-c", "printf '%s' \"$1\" > \"$2\"", "say", "${params.value}", "${outputs.text}"]
        outputs.text = { path = "text", publish = "text" }
        "#,
    );
    for value in WICKED {
        let value = value.replace("OUT", project.outside("").to_str().unwrap());
        project.file("values.json", serde_json::json!({ "value": value }).to_string());
        project.run(&["--params", "values.json"]).ok();
        assert_eq!(project.read("text"), value);
        assert!(!project.outside("pwned").exists(), "{value:?} injected a command");
    }
}

#[test]
fn in_the_name_of_a_file() {
    let project = Project::with(
        r#"
        [steps.join]
        run = "cat ${inputs.parts} > ${outputs.whole}"
        inputs.parts = "parts/*"
        outputs.whole = { path = "the whole.txt", publish = "the whole.txt" }
        "#,
    );
    project
        .file("parts/1 ; touch pwned", "one")
        .file("parts/2 $(touch pwned) ' \" ü", "two")
        .file("parts/-n", "dash");
    project.run_executes(1);
    assert_eq!(project.read("the whole.txt"), "dashonetwo");
    assert!(!project.has("pwned"));
}

#[test]
fn in_a_variable() {
    let project = Project::with(
        r#"
        [params]
        value = "tame"

        [steps.say]
        run = "printf '%s' \"$VALUE\" > ${outputs.text}"
        env.VALUE = "${params.value}"
        outputs.text = { path = "text", publish = "text" }
        "#,
    );
    for value in WICKED {
        project.file("values.json", serde_json::json!({ "value": value }).to_string());
        project.run(&["--params", "values.json"]).ok();
        assert_eq!(project.read("text"), *value);
    }
}

#[test]
fn a_literal_reference_is_written_with_two_dollars() {
    let project = Project::with(
        r#"
        [steps.say]
        run = "WORD=hello; echo $${WORD} $$ > ${outputs.text}"
        outputs.text = { path = "text", publish = "text" }
        "#,
    );
    project.run_executes(1);
    assert!(project.read("text").starts_with("hello "));
}
