# SPDX-License-Identifier: Apache-2.0
#
# Completion for fish. `layerctl complete` knows what can stand where; its first
# line says whether paths of this host can, too.

function __layerctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l out ($words[1] complete -- $words[2..-1] $current 2>/dev/null)
    printf '%s\n' $out[2..-1]
    switch "$out[1]"
        case files
            __fish_complete_path $current
        case directories
            __fish_complete_directories $current
    end
end

complete -c layerctl -f -a '(__layerctl_complete)'
