echo "nobody fetches this twice" >&2
exit 1
