#include <string_view>

#include "config/text.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"

namespace sluice::ctl {
namespace {

// Both ask sluicectl itself, so that they know what it knows: commands, options, and the names of objects.
constexpr std::string_view kBash = R"(# bash completion for sluicectl
_sluicectl() {
  local current line word file
  local -a words
  # Addresses contain colons, which bash takes for ends of words: the line is split at blanks instead.
  line="${COMP_LINE:0:COMP_POINT}"
  read -r -a words <<< "$line"
  case "$line" in *[[:blank:]]) words+=("") ;; esac
  current="${words[-1]}"
  COMPREPLY=()
  while IFS= read -r word; do
    if [ "$word" = ":files" ]; then
      compopt -o filenames 2> /dev/null
      while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
    else
      COMPREPLY+=("$word")
    fi
  done < <("${words[0]}" __complete "${words[@]:1}" 2> /dev/null)
  # What stands before the last colon is there already.
  if [[ "$current" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
    local i before="${current%"${current##*:}"}"
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]="${COMPREPLY[i]#"$before"}"; done
  fi
}
complete -F _sluicectl sluicectl
)";

constexpr std::string_view kZsh = R"(#compdef sluicectl
# zsh completion for sluicectl
_sluicectl() {
  local -a answers
  local found=1
  answers=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2> /dev/null)}")
  if (( ${answers[(Ie):files]} )); then
    _files && found=0
    answers=("${(@)answers:#:files}")
  fi
  answers=("${(@)answers:#}")
  (( $#answers )) && compadd -- "${answers[@]}" && found=0
  return found
}
if [ "${funcstack[1]}" = "_sluicectl" ]; then
  _sluicectl "$@"
else
  compdef _sluicectl sluicectl
fi
)";

}  // namespace

absl::Status RunCompletion(Invocation& invocation) {
  const std::string& shell = invocation.operands[0];
  if (shell != "bash" && shell != "zsh") {
    return UsageError(config::Cat("\"", shell, "\" is not one of bash, zsh"));
  }
  invocation.out << (shell == "bash" ? kBash : kZsh);
  return absl::OkStatus();
}

}  // namespace sluice::ctl
