# Completion for bash; load it with: source <(stockroom completion bash)
_stockroom() {
  local value text line tab=$'\t' values=() texts=()
  COMPREPLY=()
  while IFS= read -r line; do
    value="${line%%"$tab"*}" text="${line#*"$tab"}"
    case "$value" in
      :files) compopt -o default 2>/dev/null; return ;;
      :folders) compopt -o dirnames 2>/dev/null; return ;;
    esac
    values+=("$value") texts+=("$text")
  done < <("${COMP_WORDS[0]/#\~/$HOME}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # Descriptions only where a list is shown: 37 and 42 put one value after the other
  # into the line, and a single value is put there at once.
  if [ "${#values[@]}" -lt 2 ] || [ "$COMP_TYPE" = 37 ] || [ "$COMP_TYPE" = 42 ]; then
    COMPREPLY=(${values[@]+"${values[@]}"})
    return
  fi
  local i
  for ((i = 0; i < ${#values[@]}; i++)); do
    line="${values[i]}"
    [ -z "${texts[i]}" ] || printf -v line '%-24s (%s)' "${values[i]}" "${texts[i]}"
    COMPREPLY+=("${line:0:${COLUMNS:-80}-1}")
  done
}
complete -F _stockroom stockroom
