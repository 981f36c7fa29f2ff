#!/usr/bin/env bash
# Post a file as one comment of a pull request or issue of GitHub, or refresh the one that was posted before.
#
#   ops/comment.sh NUMBER FILE
#
# The first line of FILE is its marker (<!-- ... -->): the comment that begins with the same line is replaced. Only one by
# github-actions[bot] is: others may write a marker too. Needs `gh` with GH_TOKEN, and GITHUB_REPOSITORY.
set -euo pipefail

number=$1 file=$2
[[ "$number" =~ ^[0-9]+$ ]] || { echo "error: '$number' is no number of a pull request or issue" >&2; exit 1; }
[ -s "$file" ] || { echo "error: $file is not there or empty: there is nothing to post" >&2; exit 1; }
read -r marker < "$file"
[[ "$marker" == "<!-- "*" -->" ]] || { echo "error: $file: its first line has to be a marker <!-- NAME -->" >&2; exit 1; }
export marker

body=$(mktemp)
trap 'rm -f "$body"' EXIT
# Pictures lie in the run's artifact, where a comment cannot show them from; GitHub takes 65 536 characters.
sed -E 's/!\[([^]]*)\]\([^)]*\)/- picture of \1: in the artifact of the run/' "$file" | head -c 60000 > "$body"

found=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$number/comments" \
  --jq '.[] | select(.user.login == "github-actions[bot]") | select(.body | startswith(env.marker)) | .id' | sed -n 1p)
if [ -n "$found" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$found" --field "body=@$body"
  echo "comment $found of #$number: refreshed"
else
  gh api --silent --method POST "repos/$GITHUB_REPOSITORY/issues/$number/comments" --field "body=@$body"
  echo "comment of #$number: posted"
fi
