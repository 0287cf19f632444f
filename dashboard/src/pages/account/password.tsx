import { Button, PasswordInput } from '@mantine/core'
import { useState } from 'react'
import { tell, useAction } from '~/api/action'
import { post } from '~/api/client'
import { byPassword } from '~/api/login'
import { ErrorBox, Section, Snippet, useWho } from '~/parts'
import classes from './account.module.css'

/** Another password. It ends all sessions, also this one, so one comes in again by the new one at once. */
export function Password() {
  const who = useWho()
  const [old, setOld] = useState('')
  const [fresh, setFresh] = useState('')
  const change = useAction(
    async () => {
      await post('/v1/password', { old, new: fresh })
      await byPassword(who.user ?? '', fresh, who.account)
      return true
    },
    { quiet: true, then: () => tell('The password is changed; you are logged out everywhere else') },
  )
  if (!who.user || who.by !== 'session') {
    return (
      <Section title="Password">
        <div className={`pc-card ${classes.plain}`}>
          <p>You came in by a link of the account, not as a user with a name. A password belongs to a user:</p>
          <Snippet code={'picloud admin user list\npicloud admin user passwd NAME --link'} />
        </div>
      </Section>
    )
  }
  return (
    <Section title="Password">
      <form
        className={`pc-card ${classes.form}`}
        onSubmit={(event) => {
          event.preventDefault()
          void change.run()
        }}
      >
        <ErrorBox error={change.error} />
        <input type="text" autoComplete="username" value={who.user} readOnly hidden />
        <PasswordInput label="Password until now" autoComplete="current-password" required withAsterisk={false} value={old} onChange={(event) => setOld(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the former password' }} />
        <PasswordInput label="New password, 10 characters or more" autoComplete="new-password" minLength={10} required withAsterisk={false} value={fresh} onChange={(event) => setFresh(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the new password' }} />
        <Button type="submit" size="sm" loading={change.busy}>
          Change it
        </Button>
      </form>
    </Section>
  )
}
