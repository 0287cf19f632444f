import { Button } from '@mantine/core'
import { IconPlayerStop, IconRefresh, IconTrash } from '@tabler/icons-react'
import { post } from '~/api/client'
import { useAction } from '~/api/action'
import { Confirm, format, useConfirm } from '~/parts'
import { failed, jids, type Line, size, unfinished } from './lines'

interface Asked {
  what: 'kill' | 'delete' | 'rerun' | 'failed'
  lines: Line[]
}

const jobs = (count: number) => `${format.count(count)} ${count === 1 ? 'job' : 'jobs'}`

/** Kill, delete and rerun for the rows that are chosen, maps with all their jobs. */
export function useBulk(done: () => void) {
  const ask = useConfirm<Asked>()
  const kill = useAction((lines: Line[]) => post('/v1/job/kill', { jids: jids(lines) }), { said: ({ killed }) => `${jobs(killed)} killed`, then: done })
  const remove = useAction((lines: Line[]) => post('/v1/job/delete', { jids: jids(lines) }), { said: ({ deleted }) => `${jobs(deleted)} deleted`, then: done })
  const again = useAction((lines: Line[], failed: boolean) => post('/v1/job/rerun', { jids: jids(lines), failed, token: token() }), {
    said: (answer) => `${jobs(answer.jids.reduce((sum, [, count]) => sum + count, 0))} submitted once more`,
    then: done,
  })

  const buttons = (lines: Line[]) => {
    const over = lines.filter((one) => one.over)
    const open = (what: Asked['what'], of: Line[]) => () => ask.open({ what, lines: of })
    const some = failed(over)
    return (
      <>
        <Button variant="default" size="compact-xs" leftSection={<IconPlayerStop size={13} aria-hidden />} disabled={!unfinished(lines)} onClick={open('kill', lines.filter((one) => !one.over))}>
          Kill
        </Button>
        <Button variant="default" size="compact-xs" leftSection={<IconRefresh size={13} aria-hidden />} disabled={!over.length} onClick={open('rerun', over)}>
          Rerun
        </Button>
        {some > 0 && some < size(over) && (
          <Button variant="default" size="compact-xs" onClick={open('failed', over)}>
            Rerun {format.short(some)} failed
          </Button>
        )}
        <Button variant="default" size="compact-xs" leftSection={<IconTrash size={13} aria-hidden />} disabled={!over.length} onClick={open('delete', over)}>
          Delete
        </Button>
      </>
    )
  }

  const { what = 'kill', lines = [] } = ask.about ?? {}
  const dialog = (
    <>
      {what === 'kill' && (
        <Confirm {...ask.dialog} title={`Kill ${jobs(unfinished(lines))}?`} action="Kill" run={() => kill.run(lines)}>
          What they have done so far is lost; they can be rerun.
        </Confirm>
      )}
      {what === 'delete' && (
        <Confirm {...ask.dialog} title={`Delete ${jobs(size(lines))}?`} action="Delete" run={() => remove.run(lines)}>
          Their results and logs go for good. What they cost stays in the usage.
        </Confirm>
      )}
      {(what === 'rerun' || what === 'failed') && (
        <Confirm
          {...ask.dialog}
          harmless
          title={`Run ${jobs(what === 'failed' ? failed(lines) : size(lines))} once more?`}
          action="Rerun"
          run={() => again.run(lines, what === 'failed')}
        >
          The same calls are submitted as new jobs, which cost what they use.
        </Confirm>
      )}
    </>
  )
  return { buttons, dialog }
}

/** So that a request that is sent twice runs once. */
function token(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, '0')).join('')
}
