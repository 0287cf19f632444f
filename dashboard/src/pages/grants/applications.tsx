import { Button } from '@mantine/core'
import { useMemo, useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Empty, ErrorBox, Money, Section, Snippet, Table, Time, useConfirm, useWho } from '~/parts'
import { Apply } from './apply'
import classes from './grants.module.css'
import { State } from './state'

type Application = Shape<'ApplicationShown'>
type Call = Shape<'CallShown'>

/** Calls that are open, and the account's applications. */
export function Applications() {
  const may = useWho().scopes.includes('jobs')
  const { data: open, error } = useLive('/v1/grant/call')
  const { data: own, error: unread } = useLive('/v1/grant/application')
  const [about, setAbout] = useState<string>()
  const ask = useConfirm<Application>()
  const withdraw = useAction((call: string) => post('/v1/grant/application/withdraw', { call }), { said: 'The application is withdrawn' })
  const columns = useMemo(() => columnsOf(open?.calls ?? [], may ? { edit: setAbout, withdraw: ask.open } : undefined), [open, may, ask.open])
  const mine = (call: string) => own?.applications.find((one) => one.call === call)
  return (
    <div className={classes.stack}>
      <Section title="Open calls">
        <ErrorBox error={open ? undefined : error} />
        {open?.calls.length === 0 && (
          <div className="pc-card">
            <Empty title="No call is open">Whoever runs this installation opens calls; they appear here at once.</Empty>
          </div>
        )}
        <div className={classes.calls}>
          {open?.calls.map((one) => <OpenCall key={one.name} call={one} mine={mine(one.name)} onApply={may ? () => setAbout(one.name) : undefined} />)}
        </div>
      </Section>
      <Section title="Your applications">
        <Table
          label="Your applications"
          columns={columns}
          rows={own?.applications}
          error={unread}
          expected={2}
          id={(one) => one.application}
          empty={<Empty title="No applications yet" more={<Snippet code={'picloud grant calls\npicloud grant apply --name "Ann Miller" --institution "A university" \\\n  --position "postdoc" --biography me.txt --research plan.txt --attach figure.pdf'} />}>What you send to a call, and what becomes of it.</Empty>}
        />
      </Section>
      {about !== undefined && <Apply key={about} call={about} former={mine(about)} onClose={() => setAbout(undefined)} />}
      <Confirm {...ask.dialog} title={`Withdraw the application to ${ask.about?.call}?`} action="Withdraw" run={() => ask.about && withdraw.run(ask.about.call)}>
        Until the deadline it can be sent again.
      </Confirm>
    </div>
  )
}

function OpenCall({ call, mine, onApply }: { call: Call; mine: Application | undefined; onApply: (() => void) | undefined }) {
  const sent = mine && mine.state === 'sent'
  return (
    <article className={`pc-card ${classes.card}`}>
      <div className={classes.head}>
        <strong className="pc-cut" title={call.name}>
          {call.name}
        </strong>
        {mine && <State state={mine.state} />}
      </div>
      <dl className={classes.facts}>
        <dt>Deadline</dt>
        <dd>
          <Time at={call.deadline} /> (<Ago at={call.deadline} />)
        </dd>
        <dt>Awards</dt>
        <dd>
          {call.awards} of <Money value={call.amount} />
        </dd>
        {call.expires && (
          <>
            <dt>To be used by</dt>
            <dd>
              <Time at={call.expires} />
            </dd>
          </>
        )}
      </dl>
      {onApply && (!mine || mine.state === 'sent' || mine.state === 'withdrawn') && (
        <div>
          <Button variant={sent ? 'default' : 'filled'} onClick={onApply}>
            {sent ? 'Change the application' : 'Apply'}
          </Button>
        </div>
      )}
    </article>
  )
}

function columnsOf(open: Call[], acts: { edit: (call: string) => void; withdraw: (one: Application) => void } | undefined): Column<Application>[] {
  const live = (one: Application) => one.state === 'sent' && open.some((call) => call.name === one.call)
  return [
    { key: 'call', title: 'Call', text: (one) => one.call, cell: (one) => one.call },
    { key: 'state', title: 'State', cell: (one) => <State state={one.state} /> },
    { key: 'name', title: 'Applicant', from: 'sm', text: (one) => one.name, cell: (one) => one.name },
    { key: 'files', title: 'Files', from: 'md', text: (one) => one.attachments.map((file) => file.name).join(', '), cell: (one) => one.attachments.map((file) => file.name).join(', ') || <span className="pc-dim">none</span> },
    { key: 'changed', title: 'Sent', from: 'sm', cell: (one) => <Ago at={one.changed} /> },
    { key: 'amount', title: 'Awarded', align: 'right', cell: (one) => <Money value={one.grant ? one.amount : null} /> },
    { key: 'note', title: 'Note', from: 'md', text: (one) => one.note, cell: (one) => one.note },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) =>
        acts &&
        live(one) && (
          <>
            <Button size="compact-xs" variant="default" mr={6} onClick={() => acts.edit(one.call)}>
              Change
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => acts.withdraw(one)}>
              Withdraw
            </Button>
          </>
        ),
    },
  ]
}
