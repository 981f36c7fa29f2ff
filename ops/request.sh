#!/usr/bin/env bash
# Ask for the promotion of the candidate: start promote.yml, whose job waits until a reviewer of its environment approves.
#
#   ops/request.sh EXPECTED_CHAMPION WHY          the version that is champion now, or `none`
#
# Without required reviewers the job would begin at once, so then nothing is started. One request waits at a time.
# Needs `gh` with GH_TOKEN (actions: write), and GITHUB_REPOSITORY.
set -euo pipefail

expected=$1 why=$2
[[ "$expected" =~ ^([0-9]+|none)$ ]] || { echo "error: '$expected' is no version and not 'none'" >&2; exit 1; }

rules=$(gh api "repos/$GITHUB_REPOSITORY/environments/production" \
  --jq '[.protection_rules[]? | select(.type == "required_reviewers") | .reviewers[]?] | length' 2> /dev/null) || rules=0
if [ "${rules:-0}" -lt 1 ]; then
  echo "request: not made. The environment 'production' has no required reviewers (Settings, Environments): nobody would" \
    "be asked. A person promotes by hand: unblur promote --expect-champion $expected"
  exit 0
fi
waiting=$(gh api "repos/$GITHUB_REPOSITORY/actions/workflows/promote.yml/runs?status=waiting" --jq .total_count)
if [ "$waiting" -gt 0 ]; then
  echo "request: one waits for its reviewers already"
  exit 0
fi
gh workflow run promote.yml --repo "$GITHUB_REPOSITORY" --raw-field "expect_champion=$expected" --raw-field "why=$why"
echo "request: promote.yml waits for its reviewers"
