#!/bin/sh
# What a push may do to one ref. LOOPBACK_RULES has a line per rule: ref, code, actions, sentence.
ref=$1 old=$2 new=$3
zero=0000000000000000000000000000000000000000
if [ "$old" = "$zero" ]; then action=creation
elif [ "$new" = "$zero" ]; then action=deletion
elif git merge-base --is-ancestor "$old" "$new" 2>/dev/null; then action=update
else action=rewind
fi
tab=$(printf '\t')
printf '%s\n' "$LOOPBACK_RULES" | while IFS="$tab" read -r where code wanted sentence; do
  [ "$where" = "$ref" ] || continue
  case ",$wanted," in *",$action,"*) ;; *) continue ;; esac
  if [ "$code" = GH006 ]; then
    printf 'error: GH006: Protected branch update failed for %s.\nerror: \nerror: - %s\n' "$ref" "$sentence" >&2
  else
    printf 'error: %s: Repository rule violations found for %s.\n\n- %s\n' "$code" "$ref" "$sentence" >&2
  fi
  exit 1
done
