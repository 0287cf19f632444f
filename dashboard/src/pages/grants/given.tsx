import { Anchor, Button, NativeSelect, Textarea } from '@mantine/core'
import { IconPaperclip } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, Dialog, Empty, ErrorBox, format, Money, Section, useQuery } from '~/parts'
import classes from './grants.module.css'
import { State } from './state'

type Received = Shape<'Received'>

/** What came in for a call, to be read, awarded or declined. */
export function Given() {
  const { data: calls, error } = useLive('/v1/admin/call')
  const [{ call }, setQuery] = useQuery('call')
  const chosen = call ?? calls?.calls[0]?.name
  const { data, error: unread } = useLive(chosen ? '/v1/admin/application' : null, { call: chosen })
  if (error && !calls) return <ErrorBox error={error} />
  if (calls?.calls.length === 0) {
    return (
      <div className="pc-card">
        <Empty title="No calls yet">Open one, and applications to it come in here.</Empty>
      </div>
    )
  }
  const select = calls && <NativeSelect size="xs" aria-label="Call" data={calls.calls.map((one) => one.name)} value={chosen} onChange={(event) => setQuery({ call: event.currentTarget.value })} />
  return (
    <Section title="Applications received" actions={select}>
      <ErrorBox error={data ? undefined : unread} />
      {data?.applications.length === 0 && (
        <div className="pc-card">
          <Empty title="Nobody has applied yet">Applications appear here when they are sent.</Empty>
        </div>
      )}
      <div className={classes.stack}>
        {data?.applications.map((one) => (
          <One key={one.application} one={one} />
        ))}
      </div>
    </Section>
  )
}

function One({ one }: { one: Received }) {
  const [deciding, setDeciding] = useState<'award' | 'decline'>()
  return (
    <article className={`pc-card ${classes.card}`} aria-label={`Application of ${one.account}`}>
      <div className={classes.head}>
        <strong className="pc-cut" title={one.name}>
          {one.name}
        </strong>
        <State state={one.state} />
      </div>
      <dl className={classes.facts}>
        <dt>Account</dt>
        <dd>{one.account}</dd>
        <dt>Institution</dt>
        <dd>{one.institution}</dd>
        <dt>Position</dt>
        <dd>{one.position}</dd>
        <dt>Sent</dt>
        <dd>
          <Ago at={one.changed} />
        </dd>
        {one.grant !== null && (
          <>
            <dt>Awarded</dt>
            <dd>
              <Money value={one.amount} />
            </dd>
          </>
        )}
        {one.note && (
          <>
            <dt>Note</dt>
            <dd>{one.note}</dd>
          </>
        )}
      </dl>
      <Text title="Biography" text={one.biography} />
      <Text title="Research" text={one.research} />
      {one.attachments.length > 0 && (
        <div className={classes.actions}>
          {one.attachments.map((file) => (
            <Attachment key={file.name} application={one.application} file={file} />
          ))}
        </div>
      )}
      {one.state === 'sent' && (
        <div className={classes.actions}>
          <Button onClick={() => setDeciding('award')}>Award</Button>
          <Button variant="default" onClick={() => setDeciding('decline')}>
            Decline
          </Button>
        </div>
      )}
      {deciding && <Decision one={one} how={deciding} onClose={() => setDeciding(undefined)} />}
    </article>
  )
}

function Text({ title, text }: { title: string; text: string }) {
  return (
    <div>
      <div className="pc-dim">{title}</div>
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={classes.text} tabIndex={0} role="group" aria-label={title}>
        {text}
      </div>
    </div>
  )
}

/** Its bytes are foreign: they are saved, never shown. */
function Attachment({ application, file }: { application: number; file: Shape<'FileShown'> }) {
  const save = useAction(async () => {
    const { url } = await post('/v1/admin/application/attachment', { application, name: file.name })
    const answer = await fetch(url, { credentials: 'omit' })
    if (!answer.ok) throw new Error(`${file.name} could not be read`)
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: 'application/octet-stream' }))
    link.download = file.name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
    return true
  })
  return (
    <Anchor component="button" type="button" size="sm" onClick={() => void save.run()} style={{ maxWidth: '100%' }} title={file.name}>
      <IconPaperclip size={14} aria-hidden style={{ verticalAlign: '-2px' }} /> {file.name} ({format.bytes(file.size)})
    </Anchor>
  )
}

function Decision({ one, how, onClose }: { one: Received; how: 'award' | 'decline'; onClose: () => void }) {
  const [note, setNote] = useState('')
  const award = how === 'award'
  const decide = useAction(() => post(award ? '/v1/admin/application/award' : '/v1/admin/application/decline', { application: one.application, note }), {
    quiet: true,
    said: award ? `${one.account} has the grant` : 'The application is declined',
  })
  return (
    <Dialog opened onClose={onClose} title={award ? `Award the grant to ${one.account}?` : `Decline ${one.account}?`} action={award ? 'Award' : 'Decline'} run={decide.run} busy={decide.busy} error={decide.error}>
      <Textarea label="Note" description="The applicant reads it" autosize minRows={2} maxRows={8} value={note} onChange={(event) => setNote(event.currentTarget.value)} data-autofocus />
    </Dialog>
  )
}
