//! Inputs that are easily got wrong: executable bits, links, empty folders, replaced files, names from everywhere.

use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use crate::support::Project;

/// A step that says all that it can see of an input folder and a file.
const LOOK: &str = r#"
[steps.look]
run = "(cd ${inputs.folder}; find . | sort; find . -type f -perm -u+x | sed 's/$/ runs/'); if [ -x ${inputs.file} ]; then echo file runs; fi; cat ${inputs.file}) > ${outputs.seen}"
inputs = { folder = "folder", file = "file" }
outputs.seen = { path = "seen", publish = "seen" }
"#;

fn project() -> Project {
    let project = Project::with(&LOOK.replace("(cd", "((cd"));
    project.file("folder/a", "a").file("folder/b/c", "c").file("file", "text");
    project.run_executes(1);
    project.run_executes(0);
    project
}

#[test]
fn the_executable_bit() {
    let project = project();
    assert!(!project.read("seen").contains("runs"));
    for (path, line) in [("folder/a", "./a runs\n"), ("file", "file runs\n")] {
        fs::set_permissions(project.path(path), Permissions::from_mode(0o755)).unwrap();
        project.run_executes(1);
        assert!(project.read("seen").contains(line), "{}", project.read("seen"));
        fs::set_permissions(project.path(path), Permissions::from_mode(0o600)).unwrap();
        project.run_executes(0);
        assert!(!project.read("seen").contains("runs"));
    }
}

#[test]
fn folders_and_files_that_come_and_go() {
    let project = project();
    fs::create_dir(project.path("folder/empty")).unwrap();
    project.run_executes(1);
    assert!(project.read("seen").contains("./empty\n"));
    fs::rename(project.path("folder/a"), project.path("folder/z")).unwrap();
    project.run_executes(1);
    assert!(project.read("seen").contains("./z\n") && !project.read("seen").contains("./a\n"));
    fs::remove_dir_all(project.path("folder/b")).unwrap();
    fs::rename(project.path("folder/z"), project.path("folder/a")).unwrap();
    project.run_executes(1);
    fs::remove_dir(project.path("folder/empty")).unwrap();
    project.file("folder/b/c", "c");
    project.run_executes(0);
}

#[test]
fn a_file_that_is_replaced_by_an_older_one() {
    let project = project();
    project.file("other", "txet");
    let old = SystemTime::now() - Duration::from_secs(100_000);
    File::options().write(true).open(project.path("other")).unwrap().set_modified(old).unwrap();
    fs::rename(project.path("other"), project.path("file")).unwrap();
    project.run_executes(1);
    assert!(project.read("seen").ends_with("txet"));
}

#[test]
fn a_file_from_the_future() {
    let project = project();
    let future = SystemTime::now() + Duration::from_secs(1_000_000_000);
    for text in ["text", "next", "next"] {
        project.file("file", text);
        File::options().write(true).open(project.path("file")).unwrap().set_modified(future).unwrap();
        project.run(&[]).ok();
        assert!(project.read("seen").ends_with(text));
    }
    project.run_executes(0);
}

#[test]
fn links() {
    let project = project();
    symlink("a", project.path("folder/link")).unwrap();
    project.run_executes(1);
    assert!(project.read("seen").contains("./link\n"));
    fs::remove_file(project.path("folder/link")).unwrap();
    symlink("b/c", project.path("folder/link")).unwrap();
    project.run_executes(1);
    // The input itself may be a link: what it shows counts.
    project.file("real", "real text");
    fs::remove_file(project.path("file")).unwrap();
    symlink("real", project.path("file")).unwrap();
    project.run_executes(1);
    assert!(project.read("seen").ends_with("real text"));
    project.file("real", "other text");
    project.run_executes(1);
    assert!(project.read("seen").ends_with("other text"));
}

#[test]
fn links_that_leave_a_folder_are_refused() {
    let project = project();
    project.file("outside-of-it", "x");
    for target in ["../outside-of-it", "/etc/passwd", "b/../../file"] {
        symlink(target, project.path("folder/link")).unwrap();
        project.tidemill(&["run"]).exits(2).says("folder/link");
        fs::remove_file(project.path("folder/link")).unwrap();
    }
    project.run_executes(0);
}

#[test]
fn names_that_are_no_text_are_refused() {
    let project = project();
    let name = std::ffi::OsStr::from_bytes(b"bad-\xff-name");
    fs::write(project.path("folder").join(name), "x").unwrap();
    project.tidemill(&["run"]).exits(2).says("folder").says("UTF-8");
}

#[test]
fn names_that_mean_the_same_elsewhere_are_refused() {
    let project = project();
    project.file("folder/A", "big a");
    project.tidemill(&["run"]).exits(2).says("folder");
}

#[test]
fn a_file_that_becomes_a_folder() {
    let project = project();
    fs::remove_file(project.path("file")).unwrap();
    project.file("file/inside", "x");
    project.run(&[]).exits(1);
    fs::remove_dir_all(project.path("file")).unwrap();
    project.file("file", "text");
    project.run_executes(0);
}

#[test]
fn a_project_in_a_folder_with_an_odd_name() {
    let project = Project::in_folder("it's a \"project\" $HOME; ü*");
    project.pipeline(
        r#"
        [steps.copy]
        run = "cat ${inputs.a} ${inputs.far} > ${outputs.b}; ls -d \"$TMPDIR\" > /dev/null"
        inputs = { a = "a b.txt", far = "../outside/far.txt" }
        outputs.b = { path = "b b.txt", publish = "out/b b.txt" }

        [steps.use]
        run = ["cp", "${inputs.b}", "${outputs.c}"]
        inputs.b = "${copy.b}"
        outputs.c = { path = "c", publish = "c" }
        "#,
    );
    project.file("a b.txt", "a").outside_file("far.txt", "far");
    project.run_executes(2);
    assert_eq!(project.read("c"), "afar");
    project.run_executes(0);
}

#[test]
fn a_project_that_is_reached_through_a_link() {
    let project = project();
    let link = project.outside("link");
    symlink(project.root(), &link).unwrap();
    project.tidemill(&["-C", link.to_str().unwrap(), "run"]).ok().says("0 steps executed");
    project.tidemill_in("../outside/link", &["run"]).ok().says("0 steps executed");
}

#[test]
fn a_glob_that_matches_nothing_is_a_mistake() {
    let project = Project::with("[steps.a]\nrun = \"cat ${inputs.x}\"\ninputs.x = \"no/*.txt\"\n");
    project.tidemill(&["run"]).exits(2).says("no/*.txt");
}

/// More paths than fit into one argument of a process.
#[test]
fn a_glob_with_thousands_of_files() {
    let project = Project::with(
        r#"
        [steps.count]
        run = "printf '%s\n' ${inputs.images} | wc -l > ${outputs.n}"
        inputs.images = "images/*.png"
        outputs.n = { path = "n", publish = "n" }
        "#,
    );
    for number in 0..5000 {
        project.file(&format!("images/a-rather-long-name-as-cameras-give-it-{number:06}.png"), "");
    }
    project.run_executes(1);
    assert_eq!(project.read("n").trim(), "5000");
    project.run_executes(0);
}

#[test]
fn the_same_file_may_be_two_inputs_and_lie_in_a_third() {
    let project = Project::with(
        r#"
        [steps.read]
        run = "cat ${inputs.code} ${inputs.config} ${inputs.again} > ${outputs.out}; ls ${inputs.code_folder} >> ${outputs.out}"
        inputs = { code = "lib/main.txt", config = "lib/main.txt", code_folder = "lib", again = "lib/*.txt" }
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    project.file("lib/main.txt", "main\n").file("lib/other.bin", "");
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "main\nmain\nmain\nmain.txt\nother.bin\n");
}
