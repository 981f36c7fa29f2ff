#!/usr/bin/env bash
# Tell of a failure in one issue of GitHub: opened the first time, refreshed by a comment while it is open.
#
#   ops/issue.sh TITLE FILE
#
# Needs `gh` with GH_TOKEN, and GITHUB_REPOSITORY. FILE begins with a marker, see ops/comment.sh.
set -euo pipefail

title=$1 file=$2
export title
number=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues?state=open&creator=github-actions%5Bbot%5D" \
  --jq '.[] | select(.title == env.title) | .number' | sed -n 1p)
if [ -z "$number" ]; then
  number=$(gh api --method POST "repos/$GITHUB_REPOSITORY/issues" --raw-field "title=$title" \
    --raw-field "body=The comment below is refreshed by each run that fails. Close this when it is mended." --jq .number)
  echo "issue #$number: opened"
fi
"$(dirname "${BASH_SOURCE[0]}")/comment.sh" "$number" "$file"
