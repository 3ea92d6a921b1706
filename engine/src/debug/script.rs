//! The script beside a step's folder: one short thing to type that starts the step's command as a run does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::name::StepId;

/// The name of the script.
const SCRIPT: &str = "run.sh";

/// Writes the script. Values that come from secrets are not in it: it takes them from the shell that it is started from.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(
    base: &Utf8Path,
    folder: &Utf8Path,
    step: &StepId,
    argv: &[String],
    env: &BTreeMap<String, Option<String>>,
) -> io::Result<Utf8PathBuf> {
    let path = base.join(SCRIPT);
    fs::write(&path, text(folder, step, argv, env))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

fn text(folder: &Utf8Path, step: &StepId, argv: &[String], env: &BTreeMap<String, Option<String>>) -> String {
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    let mut text = format!(
        "#!/bin/sh\n\
         # Starts the command of the step {} in its folder, with its variables and no others.\n\
         # A run closes standard input; here it stays open, for debuggers.\n\
         for name in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do\n\
         \x20 case ' {} ' in *\" $name \"*) ;; *) unset \"$name\" ;; esac\n\
         done\n",
        step.as_str().escape_debug(),
        names.join(" "),
    );
    for (name, value) in env {
        if let Some(value) = value {
            text.push_str(&format!("export {name}={}\n", quoted(value)));
        }
    }
    let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
    text.push_str(&format!("umask 022\ncd {} || exit\nexec {}\n", quoted(folder.as_str()), words.join(" ")));
    text
}

fn quoted(text: &str) -> String {
    // No argument and no variable of a process holds a NUL byte, which is all that cannot be quoted.
    shlex::try_quote(text).map_or_else(|_| String::new(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::StepName;

    #[test]
    fn it_starts_the_command_and_holds_no_secret() {
        let step = StepId::new(&StepName::new("train").unwrap(), &[]);
        let env = BTreeMap::from([("A".to_owned(), Some("it's".to_owned())), ("TOKEN".to_owned(), None)]);
        let argv = ["sh", "-euc", "echo $A"].map(String::from);
        insta::assert_snapshot!(text("/p/folder".into(), &step, &argv, &env), @r#"
        #!/bin/sh
        # Starts the command of the step train in its folder, with its variables and no others.
        # A run closes standard input; here it stays open, for debuggers.
        for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
          case ' A TOKEN ' in *" $name "*) ;; *) unset "$name" ;; esac
        done
        export A="it's"
        umask 022
        cd /p/folder || exit
        exec sh -euc 'echo $A'
        "#);
    }
}
