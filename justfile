# Five words for the daily work; each is a command that works without `just` too.

# formats everything
fmt:
    cargo fmt --all

# formatting and lints, as the test command has them
lint:
    cargo fmt --all --check
    cargo clippy --release --locked --workspace --all-targets -- -D warnings

# the test command
test:
    tests/run

# one story alone: just story NAME
story NAME:
    cargo test --release --locked --test stories -- {{ NAME }}

# the documentation of the code, private items too; a broken link is an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
