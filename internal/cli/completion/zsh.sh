#compdef stockroom
# Completion for zsh; load it with: source <(stockroom completion zsh)
_stockroom() {
  local line text
  local -a lines described
  lines=("${(@f)$("${words[1]/#\~/$HOME}" complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  case "${lines[1]%%$'\t'*}" in
    '') return 1 ;;
    :files) [[ "$PREFIX" == --*=* ]] && compset -P '*='; _files; return ;;
    :folders) [[ "$PREFIX" == --*=* ]] && compset -P '*='; _files -/; return ;;
  esac
  for line in "${lines[@]}"; do
    text="${line#*$'\t'}"
    described+=("${${line%%$'\t'*}//:/\\:}${text:+:$text}")
  done
  _describe stockroom described
}
if [ "$funcstack[1]" = _stockroom ]; then
  _stockroom "$@" # loaded at the first Tab, from a file in fpath
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
  compdef _stockroom stockroom
fi
