//! How a program comes to where a shell is: copied once per digest, written aside, tried, and only then given its name.

use crate::ExecutorError;
use crate::program::Program;
use crate::shell::{Printed, Shell, one_line, quoted};

/// Where programs lie, for hosts that have the folders of the jobs at one place.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// A line of a script that says where.
    folder: String,
    /// One that is there already, and is taken instead.
    there: Option<String>,
}

/// A function of the shell that tries a program and says what came of it.
const TRY: &str = r#"try() {
    said=$("$1" --version 2>&1 < /dev/null)
    code=$?
    printf 'tried %s\n%s\n' "$code" "$said"
}"#;

/// What a shell says first: the machine, and where the program is.
const ABOUT: &str = r#"printf '%s\n' "$(uname -s) $(uname -m)" "$place""#;

/// A script that takes a packed program from its standard input, and gives it its place if it runs.
fn copying(place: &str, name: &str) -> String {
    format!(
        r#"{TRY}
{place}
umask 077
new="$programs/.{name}.$$"
trap 'rm -rf "$new"' EXIT
mkdir -p "$programs" && mkdir "$new" && gzip -dc > "$new/tidemill" && chmod 700 "$new/tidemill" || return 1
{ABOUT}
try "$new/tidemill"
[ "$code" -eq 0 ] || return 0
mv -T "$new" "${{place%/*}}" 2>/dev/null || [ -e "$place" ]"#
    )
}

/// What a shell says of a program.
#[derive(Debug, PartialEq, Eq)]
struct Seen<'a> {
    system: &'a str,
    processor: &'a str,
    place: &'a str,
    /// The exit code of its `--version`, and what it said, if it is there.
    tried: Option<(i32, &'a str)>,
}

impl Programs {
    /// Beside the folders of the jobs in the user's cache folder, or in the folder that has them.
    pub(crate) fn new(folder: Option<&str>, there: Option<&str>) -> Result<Self, ExecutorError> {
        let folder = match folder {
            Some(folder) => format!("programs={}/programs", quoted(folder)?),
            None => r#"programs="${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/programs""#.to_owned(),
        };
        Ok(Self { folder, there: there.map(str::to_owned) })
    }

    /// The program that is there already, if one is named.
    pub(crate) fn there(&self) -> Option<&str> {
        self.there.as_deref()
    }

    /// Makes sure that a program is where this shell is and runs there; the first word of a command that starts it.
    pub(crate) async fn install(&self, shell: &Shell, program: &Program) -> Result<String, ExecutorError> {
        let name = program.name()?;
        let place = match &self.there {
            Some(there) => format!("place={}", quoted(there)?),
            None => format!("{}\nplace=\"$programs/{name}/tidemill\"", self.folder),
        };
        let there = if self.there.is_some() { "true" } else { "[ -e \"$place\" ]" };
        let look = format!("{TRY}\n{place}\n{ABOUT}\n{there} || return 0\ntry \"$place\"");
        let printed = shell.run(&look).await?;
        let seen = seen(shell, &printed)?;
        if seen.tried.is_some() {
            return settle(shell, &seen, program);
        }
        if let Some(made) = program.made().await?
            && !made.fits(seen.system, seen.processor)
        {
            let machine = format!("{} {}", seen.system, seen.processor);
            return Err(unfit(shell, &format!("it is {machine}, and {} is made for {made}", program.path)));
        }
        let printed = shell.feed(&copying(&place, name), &program.packed().await?).await?;
        settle(shell, &self::seen(shell, &printed)?, program)
    }
}

fn seen<'a>(shell: &Shell, printed: &'a Printed) -> Result<Seen<'a>, ExecutorError> {
    if printed.code != Some(0) {
        let reason = format!("a program cannot be copied there: {}", one_line(&printed.stderr));
        return Err(ExecutorError::Refused { engine: shell.name().to_owned(), reason });
    }
    parsed(&printed.stdout).ok_or_else(|| ExecutorError::Unintelligible {
        engine: shell.name().to_owned(),
        answer: one_line(&String::from_utf8_lossy(&printed.stdout)),
    })
}

fn parsed(answer: &[u8]) -> Option<Seen<'_>> {
    let mut lines = str::from_utf8(answer).ok()?.splitn(4, '\n');
    let (system, processor) = lines.next()?.split_once(' ')?;
    let place = lines.next()?;
    let tried = match lines.next()?.strip_prefix("tried ") {
        Some(code) => Some((code.parse().ok()?, lines.next()?)),
        None => None,
    };
    Some(Seen { system, processor, place, tried })
}

/// The word, if the program said what it should.
fn settle(shell: &Shell, seen: &Seen<'_>, program: &Program) -> Result<String, ExecutorError> {
    match seen.tried {
        Some((0, said)) if program.is_named_in(said) => Ok(seen.place.to_owned()),
        Some((0, said)) => {
            let reason = format!("{} is {}, and {} is wanted", seen.place, one_line(said), program.version);
            Err(ExecutorError::Refused { engine: shell.name().to_owned(), reason })
        }
        Some((_, said)) => Err(unfit(shell, &format!("{} does not run: {}", seen.place, one_line(said)))),
        None => Err(unfit(shell, &format!("{} is not there", seen.place))),
    }
}

/// It cannot run there; the sentence says what can be done.
fn unfit(shell: &Shell, why: &str) -> ExecutorError {
    let reason = format!("{why}; install a Tidemill that is made for it there, and name that in `program`");
    ExecutorError::Refused { engine: shell.name().to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_that_breaks_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let here = Shell::Here { variables: std::collections::BTreeMap::new() };
        let path = camino::Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
        let program = Program { path, digest: "1f".to_owned(), version: "1".to_owned() };
        let packed = program.packed().await.unwrap();
        let place = format!("programs={0}/p\nplace={0}/p/1f/tidemill", folder.path().display());
        let printed = here.feed(&copying(&place, "1f"), &packed[..packed.len() / 2]).await.unwrap();
        assert_ne!(printed.code, Some(0));
        assert_eq!(std::fs::read_dir(folder.path().join("p")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_shell_says_is_read() {
        let seen = |tried| Some(Seen { system: "Linux", processor: "x86_64", place: "/home/a b/x", tried });
        assert_eq!(parsed(b"Linux x86_64\n/home/a b/x\n"), seen(None));
        let said = "tidemill: /lib/libc.so.6: version `GLIBC_2.38' not found\nrequired by it\n";
        let answer = format!("Linux x86_64\n/home/a b/x\ntried 127\n{said}");
        assert_eq!(parsed(answer.as_bytes()), seen(Some((127, said))));
        assert_eq!(parsed(b"Linux x86_64\n"), None);
    }
}
