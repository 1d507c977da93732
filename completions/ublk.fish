# SPDX-License-Identifier: MIT
# fish completion for ublk. What may follow is asked of the very program that is typed, at every Tab
# (ublk complete); without one, nothing is offered and nothing said.

function __ublk_complete
    set -l words (commandline -opc)
    # A file on disk: not a function, which might ask for a password.
    set -l program (command -s -- (string replace -r '^~/' "$HOME/" -- $words[1]) 2>/dev/null)
    or return
    $program complete $argv -- $words[2..-1] (commandline -ct) 2>/dev/null </dev/null
end

function __ublk_words
    set -l lines (__ublk_complete)
    set -q lines[2]
    or return
    set -l prefix (string split -m 1 \t -- $lines[1])[2]
    for line in $lines[2..-1]
        printf '%s%s\n' $prefix $line
    end
end

# Files are fish's own affair: it knows how to quote every one of them.
function __ublk_wants_files
    string match -q 'files*' -- (__ublk_complete --kind)
end

complete -c ublk -f -k -a '(__ublk_words)'
complete -c ublk -n __ublk_wants_files -F
