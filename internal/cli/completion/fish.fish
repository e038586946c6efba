# Completion for fish; load it with: stockroom completion fish | source
function __stockroom_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l lines ($program complete -- $words[2..-1] $current 2>/dev/null)
    set -l flag (string match -r '^--[^=]*=' -- $current; or echo)
    set -l path (string replace -r '^--[^=]*=' '' -- $current)
    switch "$lines[1]"
        case ':files*'
            printf '%s\n' $flag(__fish_complete_path $path)
        case ':folders*'
            printf '%s\n' $flag(__fish_complete_directories $path '')
        case '?*'
            printf '%s\n' $lines
    end
end
complete -c stockroom -f -a '(__stockroom_complete)'
