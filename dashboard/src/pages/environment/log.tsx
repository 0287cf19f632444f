import { Button } from '@mantine/core'
import { useEffect, useRef } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { ErrorBox, Section, Status } from '~/parts'
import { forget, type Phase, useBuild } from '../environments/builds'
import classes from '../environments/environments.module.css'
import type { Environment } from '../environments/states'

const WORDS: Record<Phase, string> = { setup: 'its setup server starts', run: 'the steps run', save: 'it is being saved', done: 'built and saved', failed: 'failed' }

/** The build of this environment that the tab drives, with its output as it comes. */
export function BuildLog({ one }: { one: Environment }) {
  const build = useBuild(one.name)
  const box = useRef<HTMLPreElement>(null)
  const follows = useRef(true)
  const discard = useAction(() => post('/v1/environment/shutdown', { name: one.name, token: '' }), { said: 'Its setup server has ended; nothing was saved', then: () => forget(one.name) })
  useEffect(() => {
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight
  }, [build?.output])
  if (!build) return null
  const over = build.phase === 'done' || build.phase === 'failed'
  return (
    <Section
      title="Build"
      actions={
        over && (
          <Button variant="subtle" onClick={() => forget(one.name)}>
            Close the log
          </Button>
        )
      }
    >
      <div className={`pc-card ${classes.card}`}>
        <div className={classes.line} aria-live="polite">
          <Status state={build.phase} tone={build.phase === 'done' ? 'good' : build.phase === 'failed' ? 'bad' : 'busy'}>
            {WORDS[build.phase]}
          </Status>
          {!over && <span className="pc-dim">It goes on while you look at other pages of this tab.</span>}
          {build.phase === 'failed' && one.setup_jid !== null && (
            <Button variant="default" className={classes.push} loading={discard.busy} onClick={() => void discard.run()}>
              Discard
            </Button>
          )}
        </div>
        <ErrorBox error={build.error} />
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <pre ref={box} className={classes.log} tabIndex={0} role="log" aria-label="Output of the build" onScroll={({ currentTarget: at }) => (follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < 40)}>
          {build.output || (over ? 'It printed nothing.' : 'Waiting for output..')}
        </pre>
      </div>
    </Section>
  )
}
