//! A step that runs again and writes the same bytes leaves the steps after it alone.

use crate::support::Project;

#[test]
fn the_same_bytes_stop_the_wave() {
    let project = Project::with(
        r#"
        [steps.clean]
        run = "COUNT(clean); grep -v '^#' ${inputs.raw} > ${outputs.rows}"
        inputs.raw = "raw.txt"
        outputs.rows = "rows.txt"

        [steps.sum]
        run = "COUNT(sum); wc -l < ${inputs.rows} > ${outputs.lines}"
        inputs.rows = "${clean.rows}"
        outputs.lines = "lines.txt"

        [steps.report]
        run = "COUNT(report); cat ${inputs.lines} > ${outputs.report}"
        inputs.lines = "${sum.lines}"
        outputs.report = { path = "report.txt", publish = "report.txt" }
        "#,
    );
    project.file("raw.txt", "# first\n1\n2\n");
    project.run_executes(3);
    project.file("raw.txt", "# another comment\n1\n2\n");
    project.run_executes(1);
    assert_eq!(project.counts(), "clean 2, report 1, sum 1");
    project.file("raw.txt", "# another comment\n3\n4\n");
    project.run_executes(2);
    assert_eq!(project.counts(), "clean 3, report 1, sum 2");
    project.run_executes(0);
}

#[test]
fn a_folder_with_the_same_bytes_stops_it_too() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "COUNT(make); mkdir ${outputs.tree}; cp ${inputs.a} ${outputs.tree}/copy; true ${params.n}"
        inputs.a = "a.txt"
        outputs.tree = { path = "tree", kind = "dir" }

        [steps.use]
        run = "COUNT(use); cat ${inputs.tree}/copy > ${outputs.text}"
        inputs.tree = "${make.tree}"
        outputs.text = "text"

        [params]
        n = 1
        "#,
    );
    project.file("a.txt", "a");
    project.run_executes(2);
    project.run(&["--set", "n=2"]).ok().executed(1);
    assert_eq!(project.counts(), "make 2, use 1");
}
